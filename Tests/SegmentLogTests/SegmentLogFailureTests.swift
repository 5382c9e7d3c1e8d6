import Testing

@testable import SegmentLog

@Suite struct SegmentLogFailureTests {
  @Test func tellsOfAFailedSync() throws {
    let directory = try TemporaryDirectory()
    let files = FaultyFiles()
    let log = try directory.begin(files)
    try log.append(batch(["a"]))
    files.fail(.sync, at: 1)
    let failure = SegmentLogError.failed(FileError(.other, doing: "sync", words: "as planned"))
    #expect(throws: failure) { try log.append(batch(["b"])) }
  }

  @Test func saysThatSpaceIsLowWhileThereIsSome() throws {
    let directory = try TemporaryDirectory()
    let files = FaultyFiles()
    let log = try directory.begin(files)
    #expect(!log.isSpaceLow)
    files.fail(.create, at: 1, .noSpace)
    // The spare is taken, and another cannot be made.
    while log.lastSegment == 1 { try log.append(batch([String(repeating: "x", count: 400)])) }
    #expect(log.isSpaceLow)
    try log.append(batch(["still fits"]))
    log.prepareSpare()
    #expect(log.isSpaceLow)
    files.fail(nil, at: nil)
    log.prepareSpare()
    #expect(!log.isSpaceLow)
    while log.lastSegment == 2 { try log.append(batch([String(repeating: "x", count: 400)])) }
    #expect(try directory.open().records.contains("still fits"))
  }

  @Test func tellsAFullDiskFromOneThatFails() throws {
    let directory = try TemporaryDirectory()
    let files = FaultyFiles()
    let log = try directory.begin(files)
    files.fail(.create, at: 1, .noSpace)
    let full = #expect(throws: SegmentLogError.self) {
      for _ in 0..<100 { try log.append(batch([String(repeating: "x", count: 400)])) }
    }
    guard case .full = full else {
      Issue.record("\(String(describing: full))")
      return
    }
    _ = try directory.open()
  }

  /// The process ends at any call: what was appended is there, in order, and nothing is damaged.
  @Test func outlivesAnEndAtEveryCall() throws {
    var call = 1
    var wasInterrupted = true
    while wasInterrupted {
      let directory = try TemporaryDirectory()
      let files = FaultyFiles()
      let log = try directory.begin(files)
      files.fail(nil, at: call)
      var all: [String] = []
      var durable = 0
      wasInterrupted = false
      do throws(SegmentLogError) {
        for number in 0..<40 {
          all.append("\(number) " + String(repeating: "x", count: 300))
          try log.append(batch([all[number]]))
          durable += 1
          if number == 30 { try log.removeSegments(before: 2) }
        }
      } catch {
        wasInterrupted = true
      }
      let first = try #require(OpenSegments.numbers(directory.path, LocalFiles()).first)
      let (records, again) = try directory.open(first: first)
      // The record that was under way may be there or not.
      let possible = [all[...], all[..<durable]]
      #expect(possible.contains { $0.suffix(records.count).elementsEqual(records) })
      #expect(first > 1 || records.count >= durable)
      try again.append(batch(["goes on"]))
      #expect(try directory.open(first: first).records == records + ["goes on"])
      call += 1
    }
    #expect(call > 60)
  }

  @Test func readsFramesOfRandomBytesWithoutTrouble() {
    for seed in 0..<500 {
      var bytes = (0..<2_048).map { UInt8(truncatingIfNeeded: $0 &* (seed | 1) &* 31 >> 3) }
      if seed % 2 == 0 { bytes.replaceSubrange(4..<8, with: [0x56, 0x4f, 0x54, 0x31]) }
      bytes.withUnsafeBytes { buffer in
        var reader = SegmentReader(buffer, expected: nil)
        if case .frame = reader.next() { Issue.record("seed \(seed) is no frame") }
      }
    }
  }
}
