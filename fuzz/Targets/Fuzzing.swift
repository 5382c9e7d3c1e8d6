internal import Glibc

/// One decoder, or one entry point for what comes from outside, as a fuzzer feeds it.
public struct FuzzTarget: Sendable {
  public let name: String
  /// Takes one input. What it must never do ends the process: a trap, or a broken rule
  /// (`require`). The same input does the same every time.
  public let run: @Sendable (UnsafeRawBufferPointer) -> Void

  /// All of them, by name. (The data plane's C has its own, fuzz/packet.c.)
  public static let all: [FuzzTarget] = [
    FuzzTarget(name: "client", run: ClientFuzzing.run),
    FuzzTarget(name: "configuration", run: ConfigurationFuzzing.run),
    FuzzTarget(name: "control-socket", run: ControlSocketFuzzing.run),
    FuzzTarget(name: "controller", run: ControllerFuzzing.run),
    FuzzTarget(name: "history", run: HistoryFuzzing.run),
    FuzzTarget(name: "memcached", run: MemcachedFuzzing.run),
    FuzzTarget(name: "observe", run: ObserveFuzzing.run),
    FuzzTarget(name: "rows", run: RowFuzzing.run),
    FuzzTarget(name: "server", run: ServerFuzzing.run),
    FuzzTarget(name: "store", run: StoreFuzzing.run),
    FuzzTarget(name: "store-log", run: StoreLogFuzzing.run),
    FuzzTarget(name: "store-replica", run: StoreReplicaFuzzing.run),
    FuzzTarget(name: "streams", run: StreamFuzzing.run),
    FuzzTarget(name: "wire", run: WireFuzzing.run),
  ]
}

/// A rule that no input may break.
func require(_ isKept: Bool, _ rule: @autoclosure () -> String) {
  guard !isKept else { return }
  complain("broken: \(rule())\n")
  abort()
}

private func complain(_ text: String) {
  _ = Array(text.utf8).withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
}

/// Takes an input apart, from its front. Past its end there are zeros.
struct FuzzInput {
  private let input: UnsafeRawBufferPointer
  private var position = 0

  init(_ input: UnsafeRawBufferPointer) { self.input = input }

  var isEmpty: Bool { position >= input.count }

  mutating func byte() -> UInt8 {
    guard !isEmpty else { return 0 }
    position += 1
    return input[position - 1]
  }

  mutating func short() -> UInt16 { UInt16(byte()) | UInt16(byte()) << 8 }

  /// Up to `count` bytes.
  mutating func bytes(_ count: Int) -> [UInt8] {
    let end = min(input.count, position + count)
    defer { position = end }
    return Array(input[position..<end])
  }
}

/// What C calls (fuzz/Main/main.c): one thread, one target.
private nonisolated(unsafe) var selected: FuzzTarget?

@_cdecl("hotrack_fuzz_select")
func selectTarget(_ name: UnsafePointer<CChar>) -> CInt {
  let name = String(cString: name)
  selected = FuzzTarget.all.first { $0.name == name }
  return selected == nil ? 0 : 1
}

@_cdecl("hotrack_fuzz_list")
func listTargets() {
  for target in FuzzTarget.all { complain("  \(target.name)\n") }
}

@_cdecl("hotrack_fuzz_try")
func tryInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) {
  selected?.run(UnsafeRawBufferPointer(start: bytes, count: count))
}
