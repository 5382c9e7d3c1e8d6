internal import Directory
internal import Wire

/// The controller of one rack: chooses the hot keys, runs the transitions, watches the servers
/// (docs/protocol.md §5, §6, §8). Pure: it has no socket, clock or randomness of its own, and the
/// same events give the same effects.
public struct ControllerCore: Sendable {
  let configuration: ControllerConfiguration
  /// Breaks the protocol on purpose, to test that tests notice.
  public var faults: ControllerFaults = []

  public init(_ configuration: ControllerConfiguration) {
    self.configuration = configuration
  }

  /// Takes one event; returns what is to be done, in order.
  public mutating func handle(_ event: ControllerEvent) -> [ControllerEffect] { [] }

  /// The directory entries that `tick` wants readings of, in ascending order.
  public var entriesInUse: [UInt32] { [] }

  /// No transition, move of slots or admission is under way or waiting.
  public var isQuiet: Bool { true }

  /// A snapshot for screens and tests.
  public var state: ControllerState {
    ControllerState(
      epoch: configuration.epoch, generation: 0, serving: false, automatic: false, rate: 0,
      sampleInterval: 0, inTransition: 0, movingSlots: false, servers: [], keys: [],
      totals: ControllerTotals())
  }
}
