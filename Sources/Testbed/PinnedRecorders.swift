internal import Configuration
internal import Controller
internal import Sockets

/// Recorders that each stay on one processor, and what the processors have handled meanwhile.
///
/// A frame that a process sends into a virtual link is handled by the data plane on the processor of
/// the process: so the datagrams of these recorders arrive on all of their processors at once.
struct PinnedRecorders {
  /// By the recorders' numbers.
  private let processors: [Int]
  /// First datagrams of operations that each recorder sends, at least.
  private let operationsOfEach: Int
  private let before: [UInt64]

  /// Nil: the scenario does not ask for it. Just before the recorders are started.
  init?(_ scenario: TestbedFile.Scenario, on bed: Testbed) throws(TestbedError) {
    guard scenario.pinned else { return nil }
    let available = BackgroundThread.processors
    processors = (0..<scenario.processes).map { available[$0 % available.count] }
    operationsOfEach = scenario.duration == nil ? scenario.operations / scenario.processes : 1
    before = try Self.packets(on: bed)
  }

  /// What starts a recorder's command line.
  func prefix(ofRecorder number: Int) -> [String] { ["taskset", "-c", "\(processors[number])"] }

  /// Tells what each processor has handled, and which of them too little.
  func finish(_ report: inout ScenarioReport, on bed: Testbed) throws(TestbedError) {
    // A controller that was started again has counted from zero.
    let now = try Self.packets(on: bed)
    let packets = zip(now, before).map { $0 >= $1 ? $0 - $1 : $0 }
    report.packetsByProcessor = packets
    for processor in Set(processors).sorted() {
      let least = UInt64(operationsOfEach * processors.count { $0 == processor })
      let handled = processor < packets.count ? packets[processor] : 0
      guard handled < least else { continue }
      report.shortcomings.append(
        "processor \(processor) has handled \(handled) packets, at least \(least) were due")
    }
  }

  private static func packets(on bed: Testbed) throws(TestbedError) -> [UInt64] {
    do throws(ControlClientError) {
      return try bed.ask(.status).status?.packetsByProcessor ?? []
    } catch {
      throw .run("packets could not be counted: \(error)")
    }
  }
}
