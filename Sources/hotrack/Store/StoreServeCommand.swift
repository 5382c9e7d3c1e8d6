import ArgumentParser
import Configuration
import Foundation
import Logging
import Paxos
import Sockets
import StoreNode

/// The configuration that `serve` and `init` share.
struct StoreNodeArguments: ParsableArguments {
  @Option(help: ArgumentHelp("The store file; docs/store.md describes it.", valueName: "file"))
  var config: String

  @Option(help: "Which member this is; else the file says it.")
  var node: Int?

  @Option(help: ArgumentHelp("Where the node keeps its data; else the file says it."))
  var data: String?

  func options() throws -> StoreNodeOptions {
    let file = try StoreFile(file: config)
    guard let node = node ?? file.node, let number = UInt16(exactly: node) else {
      throw ValidationError("which member is this? give --node, or store.node in \(config)")
    }
    guard let data = data ?? file.data else {
      throw ValidationError("where is the data? give --data, or store.data in \(config)")
    }
    var options = StoreNodeOptions(
      cellName: file.cell, node: NodeID(number),
      members: file.members.map {
        .init(
          node: NodeID(UInt16(clamping: $0.node)), zone: UInt16(clamping: $0.zone),
          peerAddress: $0.peer, clientAddress: $0.client)
      }, dataDirectory: data)
    options.segmentLength = file.segmentMiB << 20
    options.scrubInterval = Int64(file.scrubSeconds)
    options.peerTLS = file.peerTLS.map {
      .init(certificate: $0.certificate, key: $0.key, authority: $0.authority)
    }
    options.clientTLS = file.clientTLS.map {
      .init(certificate: $0.certificate, key: $0.key, authority: $0.authority)
    }
    return options
  }

  /// The options; what is wrong with them ends the process.
  func checkedOptions(_ command: String) throws -> StoreNodeOptions {
    do { return try options() } catch let error as ConfigurationError {
      standardError("\(error)")
      throw ExitCode(1)
    }
  }
}

/// `hotrack store serve`
struct StoreServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Run a node of a store.",
    discussion: """
      Ends at SIGTERM or SIGINT. A node whose data directory is empty, or damaged, is taken for one \
      that has lost its disk: it recovers from the others before it votes. The nodes of a new cell \
      are told by `hotrack store init` that there is nothing to recover.

      Exit codes: 0 ended by a signal, 1 it could not run, or not go on, 64 usage.
      """)

  @OptionGroup var arguments: StoreNodeArguments

  @Flag(help: "Make the data directory first if it is not there, as `hotrack store init` does.")
  var initialize = false

  @Flag(help: "Print one JSON object when it serves.")
  var json = false

  @Flag(help: "Log more to standard error.")
  var verbose = false

  func run() async throws {
    let options = try arguments.checkedOptions("serve")
    var logger = Logger(label: "hotrack.store") { LogOutput.handler(label: $0) }
    logger.logLevel = verbose ? .debug : .notice
    let signals: StopSignals
    let node: StoreNode
    do {
      signals = try StopSignals()
      if initialize, !FileManager.default.fileExists(atPath: options.dataDirectory) {
        try DataDirectory.initialize(options)
      }
      node = try await StoreNode.start(options, log: logger) { words in
        standardError("hotrack store serve: \(words)")
        _exit(1)
      }
    } catch {
      standardError("hotrack store serve: \(error)")
      throw ExitCode(1)
    }
    if json {
      StoreText.json(
        Greeting(
          cell: options.cellName, node: options.node.rawValue, clients: "\(node.clientAddress)"))
    } else {
      StoreText.line(
        "node \(options.node.rawValue) of cell \(options.cellName) serves clients at "
          + "\(node.clientAddress)")
    }
    await Self.wait(for: signals)
    await node.stop()
  }

  /// Waits for a signal on a thread of its own: tasks must not wait in the kernel.
  static func wait(for signals: StopSignals) async {
    let stop = signals.stop
    await withCheckedContinuation { continuation in
      let thread = Thread {
        guard let poll = try? EventPoll(), (try? poll.add(stop.descriptor, token: 0)) != nil else {
          return continuation.resume()
        }
        while (try? poll.wait(until: nil) { _, _ in }) == 0 {}
        continuation.resume()
      }
      thread.start()
    }
    withExtendedLifetime(signals) {}
  }

  private struct Greeting: Encodable {
    var cell: String
    var node: UInt16
    var clients: String
  }
}

/// `hotrack store init`
struct StoreInitCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init",
    abstract: "Make the data directory of a node of a new cell.",
    discussion: """
      Once for each node, before any of them is started for the first time; never again: a node that \
      has lost its data is just started.

      Exit codes: 0 done, 1 refused, 64 usage.
      """)

  @OptionGroup var arguments: StoreNodeArguments

  func run() async throws {
    let options = try arguments.checkedOptions("init")
    do { try DataDirectory.initialize(options) } catch {
      standardError("hotrack store init: \(error)")
      throw ExitCode(1)
    }
    StoreText.line(
      "node \(options.node.rawValue) of cell \(options.cellName): \(options.dataDirectory)")
  }
}
