internal import Configuration
internal import Controller
internal import ControllerCore
internal import Sockets

/// Begins and ends the faults of a scenario at their times, and writes down when that was.
struct FaultSchedule {
  /// A fault, and what was known of it. Times are those of the monotonic clock, which the histories
  /// have too.
  struct Record {
    let fault: Fault
    var running: Testbed.RunningFault?
    var begun: UInt64?
    var ended: UInt64?
    /// Keys that were hot when it began.
    var hot: [String] = []
    var countsBefore: LinkPrograms.Counts?
    /// What has happened to frames meanwhile.
    var counts: LinkPrograms.Counts?
  }

  private(set) var records: [Record]
  private let start: UInt64

  init(_ faults: [Fault], start: UInt64) {
    records = faults.map { Record(fault: $0) }
    self.start = start
  }

  /// The controller cannot be asked for anything now.
  var isControllerAway: Bool {
    records.contains { record in
      guard record.begun != nil, record.ended == nil else { return false }
      switch record.fault.target {
      case .controller, .directory: return true
      default: return false
      }
    }
  }

  /// Does what is due.
  mutating func advance(_ bed: inout Testbed) throws(TestbedError) {
    let now = MonotonicClock.now
    for index in records.indices {
      let fault = records[index].fault
      if let duration = fault.duration, records[index].begun != nil, records[index].ended == nil,
        now >= time(fault.begin + duration)
      {
        try end(index, &bed)
      }
      if records[index].begun == nil, now >= time(fault.begin) { try begin(index, &bed) }
    }
  }

  /// Ends what still goes on.
  mutating func endAll(_ bed: inout Testbed) throws(TestbedError) {
    for index in records.indices where records[index].begun != nil && records[index].ended == nil {
      try end(index, &bed)
    }
  }

  private func time(_ seconds: Double) -> UInt64 { start + UInt64(seconds * 1e9) }

  private mutating func begin(_ index: Int, _ bed: inout Testbed) throws(TestbedError) {
    let fault = records[index].fault
    if !isControllerAway, let hot = try? bed.ask(.keys).keys {
      records[index].hot = hot.filter { $0.mode == .hot }.map(\.key)
    }
    if case .link(let link) = fault.kind {
      records[index].countsBefore = try bed.linkCounts(fault.target, link.direction)
    }
    records[index].begun = MonotonicClock.now
    records[index].running = try bed.begin(fault)
    if case .restart = fault.kind { records[index].ended = MonotonicClock.now }
  }

  private mutating func end(_ index: Int, _ bed: inout Testbed) throws(TestbedError) {
    let record = records[index]
    if case .link(let link) = record.fault.kind {
      records[index].counts = try bed.linkCounts(record.fault.target, link.direction)?
        .since(record.countsBefore)
    }
    if let running = record.running { try bed.end(running) }
    records[index].ended = MonotonicClock.now
  }
}
