internal import Dispatch
internal import Glibc
internal import SegmentLog
internal import Sockets

/// Writes the log of votes on a thread of its own, one batch at a time.
final class VoteWriter: @unchecked Sendable {
  // Unchecked: the log is used on the queue only.
  private let log: SegmentLog
  private let queue = DispatchQueue(label: "hotrack.store.log", qos: .userInitiated)

  /// How a write has ended.
  struct Written: Sendable {
    /// Emptied, to be used again.
    var batch: LogBatch
    var firstSegment: UInt64
    var lastSegment: UInt64
    var isSpaceLow: Bool
    /// Nanoseconds.
    var duration: UInt64
  }

  init(_ log: SegmentLog) { self.log = log }

  /// Makes a batch durable; `done` is called on the writer's thread.
  func write(
    _ batch: LogBatch, _ done: @escaping @Sendable (Result<Written, SegmentLogError>) -> Void
  ) {
    queue.async { [self] in
      let start = MonotonicClock.now
      do throws(SegmentLogError) {
        try log.append(batch)
        var empty = batch
        empty.removeAll()
        done(
          .success(
            Written(
              batch: empty, firstSegment: log.firstSegment, lastSegment: log.lastSegment,
              isSpaceLow: log.isSpaceLow, duration: MonotonicClock.now - start)))
      } catch {
        done(.failure(error))
      }
    }
  }

  /// Removes segments that are not needed, and tries again to have a spare one.
  func tidy(
    removingBefore first: UInt64?, _ done: @escaping @Sendable (SegmentLogError?, Bool) -> Void
  ) {
    queue.async { [self] in
      do throws(SegmentLogError) {
        if let first { try log.removeSegments(before: first) }
        log.prepareSpare()
        done(nil, log.isSpaceLow)
      } catch {
        done(error, log.isSpaceLow)
      }
    }
  }

  /// Waits for all that was handed over.
  func finish() async {
    await withCheckedContinuation { done in queue.async { done.resume() } }
  }
}
