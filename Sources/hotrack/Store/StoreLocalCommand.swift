import ArgumentParser
import Foundation
import Sockets

/// `hotrack store local`
struct StoreLocalCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "local",
    abstract: "Start a cell of three nodes on this machine, and throw it away at the end.",
    discussion: """
      The nodes are processes of their own, on ports of 127.0.0.1 from --port on: kill one and see. \
      Ends at SIGTERM or SIGINT; the data goes then, unless --data says where to keep it.

      Exit codes: 0 ended by a signal, 1 it could not run, 64 usage.
      """)

  @Option(help: "The first of the ports, two for each node.")
  var port = 2379

  @Option(help: "How many nodes, 1 to 9.")
  var nodes = 3

  @Option(help: "Keep the data here, and go on with what is there.")
  var data: String?

  @Option(help: "MiB of a segment of the log of votes.")
  var segmentMib = 16

  func validate() throws {
    guard (1...9).contains(nodes) else { throw ValidationError("--nodes must be 1 to 9") }
    guard (1...65_535 - 2 * 9).contains(port) else {
      throw ValidationError("--port must be 1 to \(65_535 - 2 * 9)")
    }
    guard (1...1_024).contains(segmentMib) else {
      throw ValidationError("--segment-mib must be 1 to 1024")
    }
  }

  func run() async throws {
    let signals = try StopSignals()
    let files = FileManager.default
    let directory =
      data.map { URL(fileURLWithPath: $0).path }
      ?? NSTemporaryDirectory() + "hotrack-store-\(getpid())"
    try files.createDirectory(atPath: directory, withIntermediateDirectories: true)
    let config = "\(directory)/store.toml"
    try Data(text.utf8).write(to: URL(fileURLWithPath: config))
    var processes: [Process] = []
    defer {
      for process in processes where process.isRunning { process.terminate() }
      for process in processes { process.waitUntilExit() }
      if data == nil { try? files.removeItem(atPath: directory) }
    }
    for node in 1...nodes {
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
      process.arguments = [
        "store", "serve", "--config", config, "--node", "\(node)", "--data",
        "\(directory)/node-\(node)", "--initialize",
      ]
      try process.run()
      processes.append(process)
    }
    let endpoints = (0..<nodes).map { "127.0.0.1:\(port + 2 * $0)" }.joined(separator: ",")
    StoreText.line("data and configuration: \(directory)")
    StoreText.line(
      "processes: " + processes.map { "\($0.processIdentifier)" }.joined(separator: ", "))
    StoreText.line("try: export HOTRACK_STORE_ENDPOINTS=\(endpoints)")
    StoreText.line("     hotrack store put greeting hello; hotrack store get greeting")
    await StoreServeCommand.wait(for: signals)
  }

  private var text: String {
    var lines = ["[store]", "cell = \"local\"", "segment_mib = \(segmentMib)"]
    for node in 0..<nodes {
      lines += [
        "", "[[member]]", "node = \(node + 1)",
        "client = \"127.0.0.1:\(port + 2 * node)\"", "peer = \"127.0.0.1:\(port + 2 * node + 1)\"",
      ]
    }
    return lines.joined(separator: "\n") + "\n"
  }
}
