internal import Dispatch
internal import Glibc
internal import Synchronization

/// Whether the user has asked the program to end (Ctrl-C, or SIGTERM), so that whoever has built a
/// testbed can take it down before. While one is in force, these signals do not end the process.
public final class Interruption {
  private let flag = Flag()
  private var sources: [any DispatchSourceSignal] = []

  private final class Flag: Sendable {
    let isSet = Atomic(false)
  }

  /// In force until `cancel`.
  public init() {
    for number in [SIGINT, SIGTERM, SIGHUP] {
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { [flag] in flag.isSet.store(true, ordering: .releasing) }
      source.resume()
      sources.append(source)
    }
  }

  /// Whether one of the signals has come.
  public var isRequested: Bool { flag.isSet.load(ordering: .acquiring) }

  /// From now on the signals end the process again.
  public func cancel() {
    for source in sources { source.cancel() }
    sources = []
    for number in [SIGINT, SIGTERM, SIGHUP] { signal(number, SIG_DFL) }
  }

  /// Throws if one of the signals has come.
  public func check() throws(TestbedError) {
    if isRequested { throw .interrupted }
  }
}
