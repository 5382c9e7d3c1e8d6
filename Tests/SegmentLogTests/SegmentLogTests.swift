import Testing

@testable import SegmentLog

@Suite struct SegmentLogTests {
  @Test func givesBackWhatWasAppended() throws {
    let directory = try TemporaryDirectory()
    let log = try directory.begin()
    try log.append(batch(["a", "b"]))
    try log.append(batch([String(repeating: "c", count: 3_000)]))
    try log.append(batch(["", "d"]))
    let (records, again) = try directory.open()
    #expect(records == ["a", "b", String(repeating: "c", count: 3_000), "", "d"])
    #expect(again.tornLength == 0)
    try again.append(batch(["e"]))
    #expect(try directory.open().records.last == "e")
  }

  @Test func goesOnInNewSegments() throws {
    let directory = try TemporaryDirectory()
    let log = try directory.begin()
    let records = (0..<200).map { "record \($0) " + String(repeating: "x", count: $0 * 7) }
    for record in records { try log.append(batch([record])) }
    #expect(log.lastSegment > 5)
    #expect(try directory.open().records == records)
    let last = log.lastSegment
    try log.removeSegments(before: last - 1)
    #expect(log.firstSegment == last - 1)
    let kept = try directory.open(first: last - 1).records
    #expect(kept == records.suffix(kept.count))
    // The segment that is written to stays.
    try log.removeSegments(before: .max)
    #expect(log.firstSegment == log.lastSegment)
  }

  @Test func takesRecordsThatAreLongerThanASegment() throws {
    let directory = try TemporaryDirectory()
    let log = try directory.begin()
    let long = String(repeating: "long", count: 10_000)
    for record in ["a", long, "b", long] { try log.append(batch([record])) }
    try log.append(batch([long, "c", long]))
    #expect(try directory.open().records == ["a", long, "b", long, long, "c", long])
  }

  @Test func refusesAnotherNodesLog() throws {
    let directory = try TemporaryDirectory()
    _ = try directory.begin()
    #expect(throws: SegmentLogError.foreign(.init(cell: 7, node: 1))) {
      try directory.open(node: 2)
    }
  }

  @Test func missesSegments() throws {
    let directory = try TemporaryDirectory()
    let log = try directory.begin()
    for _ in 0..<60 { try log.append(batch([String(repeating: "x", count: 500)])) }
    #expect(log.lastSegment >= 4)
    let missing = [1, 2, log.lastSegment]
    for number in missing {
      try directory.withCopy { copy in
        try LocalFiles().remove(OpenSegments.path(copy.path, number))
        #expect(copy.damage() == "segment \(number) is missing")
      }
    }
    #expect(throws: SegmentLogError.damaged("there are segments where a log is to begin")) {
      try directory.begin()
    }
  }

  /// Every byte of a short log, changed: it is noticed, always, and nothing else than a tear is
  /// taken for one.
  @Test func noticesEveryChangedByte() throws {
    let directory = try TemporaryDirectory()
    let log = try directory.begin()
    for record in ["first", "second", "third"] { try log.append(batch([record, record])) }
    let path = OpenSegments.path(directory.path, 1)
    let whole = try contents(path)
    let used = 4 * Sector.size
    for place in 0..<used + Sector.size {
      var changed = whole
      changed[place] ^= 1 << UInt8(place % 8)
      try write(changed, path)
      #expect(directory.damage() != nil, "byte \(place)")
    }
    try write(whole, path)
    #expect(try directory.open().records.count == 6)
  }

  @Test func noticesALengthThatHasChanged() throws {
    let directory = try TemporaryDirectory()
    let log = try directory.begin()
    try log.append(batch(["a"]))
    let path = OpenSegments.path(directory.path, 1)
    let whole = try contents(path)
    for length in [0, 100, 512, 1024, whole.count - 512] {
      try write(Array(whole.prefix(length)), path)
      #expect(directory.damage() != nil, "\(length) bytes")
    }
    try write(whole + [UInt8](repeating: 0, count: 512), path)
    #expect(directory.damage() != nil)
  }

  /// Whatever sectors of the last frame have not reached the disk: it is cut off, and the log goes
  /// on; if they are missing from a frame that another follows, the log is damaged.
  @Test func cutsATornFrame() throws {
    let directory = try TemporaryDirectory()
    let log = try directory.begin()
    try log.append(batch(["kept"]))
    let long = String(repeating: "torn", count: 400)
    try log.append(batch([long]))
    let path = OpenSegments.path(directory.path, 1)
    let whole = try contents(path)
    let first = 2
    let sectors = FrameHeader.sectors(payload: 1_604)
    for missing in 1..<(1 << sectors) {
      var torn = whole
      for sector in 0..<sectors where missing >> sector & 1 == 1 {
        let start = (first + sector) * Sector.size
        torn.replaceSubrange(
          start..<start + Sector.size, with: repeatElement(0, count: Sector.size))
      }
      try write(torn, path)
      let (records, again) = try directory.open()
      #expect(records == ["kept"])
      #expect((again.tornLength > 0) == (missing != 1 << sectors - 1))
      try again.append(batch(["next"]))
      #expect(try directory.open().records == ["kept", "next"])
      // Another frame after it: its parts were durable once.
      if missing != 1 << sectors - 1 {
        try write(whole, path)
        try directory.open().log.append(batch(["after"]))
        var damaged = try contents(path)
        damaged.replaceSubrange(
          0..<(first + sectors) * Sector.size, with: torn.prefix((first + sectors) * Sector.size))
        try write(damaged, path)
        #expect(directory.damage() != nil)
      }
    }
  }
}
