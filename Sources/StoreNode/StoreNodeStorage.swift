internal import BinaryCoding
internal import Dispatch
internal import Logging
internal import NIOCore
internal import Paxos
internal import SegmentLog
internal import Sockets

/// A run that stores the objects whose records lie in old segments, so that these can go.
struct StoringRun {
  /// Objects still to be stored.
  var left: [ObjectID]
  /// Segments before this one are to go.
  var goal: UInt64
}

/// The log of a node, and its stored objects.
extension StoreNode {
  /// Records that nothing waits for are written after so many nanoseconds at the latest.
  private static let lazyDelay: UInt64 = 20_000_000
  /// With more bytes than this they are written at once.
  private static let lazyLengthMax = 1 << 20
  /// Segments from which on objects are stored.
  private static let segmentsMin: UInt64 = 3
  /// Objects, and about how many bytes, that are stored at one time.
  private static let storedMax = (objects: 512, bytes: 4 << 20)

  func append(_ record: LogRecord, _ position: UInt64) {
    if pending.isEmpty { pendingSince = MonotonicClock.now }
    pending.add { NodeRecord.vote(record).encode(appendingTo: &$0) }
    pendingPosition = position
    if unstored[record.object] == nil { unstored[record.object] = segments.upperBound }
  }

  /// Hands over what is to be written, unless a write is under way or nothing waits for it.
  func writeLog() {
    guard !isWriting, !pending.isEmpty else { return }
    let isAwaited = replica.awaitedPosition.map { $0 > writtenPosition } ?? false
    guard isAwaited || mustWrite || pending.length > Self.lazyLengthMax else {
      scheduleLazyWrite()
      return
    }
    mustWrite = false
    isWriting = true
    let position = pendingPosition
    let batch = pending
    pending = spareBatch
    spareBatch = LogBatch()
    writer.write(batch) { [self] result in
      eventLoop.execute { [self] in written(result, position) }
    }
  }

  private func scheduleLazyWrite() {
    guard !isLazyWriteScheduled else { return }
    isLazyWriteScheduled = true
    let waited = MonotonicClock.now - pendingSince
    let wait = waited < Self.lazyDelay ? Self.lazyDelay - waited : 0
    eventLoop.scheduleTask(in: .nanoseconds(Int64(wait))) { [self] in
      isLazyWriteScheduled = false
      guard !pending.isEmpty else { return }
      // What has come since goes with the next vote, which would have to wait for this sync.
      if MonotonicClock.now - pendingSince >= Self.lazyDelay { mustWrite = true }
      writeLog()
    }
  }

  private func written(
    _ result: Result<VoteWriter.Written, SegmentLogError>, _ position: UInt64
  ) {
    isWriting = false
    switch result {
    case .failure(let error): fail("\(error); the node ends, since nobody knows what is durable")
    case .success(let written):
      syncTimes.add(written.duration)
      writtenPosition = position
      spareBatch = written.batch
      segments = written.firstSegment...written.lastSegment
      if written.isSpaceLow { setSpaceLow(true) }
      step { $0.synced(through: position, now: $1) }
      storeIfNeeded()
    }
  }

  /// When this replica has made good what it lost, and that is durable, it is no longer taken for one
  /// that has lost its votes at its next start.
  func noteHealing() {
    guard identity.hasLostVotes, !replica.hasLostVotes else { return }
    let position = healedPosition ?? replica.position
    healedPosition = position
    guard writtenPosition >= position else {
      mustWrite = true
      return
    }
    identity.hasLostVotes = false
    log.notice("all votes that were lost are made good")
    rowsQueue.async { [self, identity] in
      do throws(FileError) {
        try identity.write(options.dataDirectory, LocalFiles())
      } catch {
        eventLoop.execute { [self] in fail("\(error)") }
      }
    }
  }

  // MARK: Stored objects

  private func storeIfNeeded() {
    guard storing == nil, segments.upperBound - segments.lowerBound + 1 >= Self.segmentsMin else {
      return
    }
    let goal = segments.upperBound
    let old = unstored.filter { $0.value < goal }.map(\.key)
    storing = StoringRun(left: old, goal: goal)
    storeSome()
  }

  /// Stores a part of the objects, and goes on when they are durable: no turn of the loop gets long.
  func storeSome() {
    guard var run = storing else { return }
    guard hasRoom else {
      isStoringHeldBack = true
      return setSpaceLow(true)
    }
    var images: [(id: ObjectID, bytes: [UInt8])] = []
    var length = 0
    while images.count < Self.storedMax.objects, length < Self.storedMax.bytes,
      let id = run.left.popLast()
    {
      guard let image = replica.image(of: id) else { continue }
      let bytes = image.encoded
      length += bytes.count
      images.append((id, bytes))
      // What comes after this is in the newest segment or later.
      unstored[id] = nil
    }
    storing = run
    let isLast = run.left.isEmpty
    // Objects that have changed since are needed from where they were noted again.
    let first = isLast ? min(run.goal, unstored.values.min() ?? run.goal) : nil
    rowsQueue.async { [self, images] in
      do {
        if !images.isEmpty { try rows.store(images) }
        if let first { try rows.store(first: first) }
        let sequence = rows.sequence
        eventLoop.execute { [self] in
          storedObjects += UInt64(images.count)
          if let first { stored(first, sequence) } else { storeSome() }
        }
      } catch {
        eventLoop.execute { [self] in fail("cannot store objects: \(error)") }
      }
    }
  }

  /// Everything before a segment is in stored objects. That the database has it is noted in the log;
  /// then the segments go.
  private func stored(_ first: UInt64, _ sequence: UInt64) {
    pending.add { NodeRecord.witness(sequence: sequence).encode(appendingTo: &$0) }
    mustWrite = true
    removeBefore = first
    writeLog()
    removeSegments()
  }

  /// After the note is durable: the writer works off what it gets in order.
  private func removeSegments() {
    guard !isWriting || !mustWrite, let first = removeBefore else {
      // The write that is under way does not contain the note.
      eventLoop.scheduleTask(in: .milliseconds(5)) { [self] in
        writeLog()
        removeSegments()
      }
      return
    }
    removeBefore = nil
    writer.tidy(removingBefore: first) { [self] error, isLow in
      eventLoop.execute { [self] in
        if let error { return fail("\(error)") }
        if isLow { setSpaceLow(true) }
        segments = max(segments.lowerBound, first)...segments.upperBound
        storing = nil
      }
    }
  }
}
