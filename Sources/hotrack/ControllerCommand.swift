import ArgumentParser
import Configuration
import Controller
import ControllerCore
import DataPlane
import Directory
import Foundation
import Logging
import Sockets

/// `hotrack controller`: the process that owns a rack's directory.
struct ControllerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "controller",
    abstract: "Run a rack's controller: load and attach the data plane, choose hot keys.",
    discussion: """
      Runs in the network namespace of the directory host until SIGTERM or SIGINT. Prints one line \
      when the rack takes requests; its log goes to standard error. Ask it with `hotrack status`, \
      `hotrack keys` and `hotrack servers`.

      The data plane (program, directory, links to the interfaces) is kept in \
      /sys/fs/bpf/hotrack/RACK and goes on without a controller, whatever has ended it. The next \
      controller of the rack goes on with it, of the same version or of another one, without losing \
      a packet. `hotrack detach RACK` takes it away.

      Needs root, or the capabilities CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON.

      Exit codes: 0 stopped by a signal, 1 it cannot run, 64 wrong usage.
      """)

  @Option(help: ArgumentHelp("The rack file.", valueName: "file"))
  var config: String

  @Option(help: ArgumentHelp("The control socket, instead of the file's.", valueName: "path"))
  var socket: String?

  @Option(
    help: ArgumentHelp(
      "The file that keeps the epoch, instead of the rack file's.", valueName: "file"))
  var state: String?

  @Flag(help: "Promote no key unless it is asked for: plain hashing.")
  var noReplication = false

  @Flag(help: "When told to stop, take the data plane away instead of leaving it running.")
  var detachOnExit = false

  @Flag(
    help: "Load the program anew for a running data plane, even if it has this version's already.")
  var replaceProgram = false

  @Option(
    help: "What to log: trace, debug, info, notice, warning, error or critical.",
    transform: { name in
      guard let level = Logger.Level(rawValue: name) else {
        let names = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
        throw ValidationError("there is no log level '\(name)'; choose one of \(names)")
      }
      return level
    })
  var logLevel = Logger.Level.info

  func run() throws {
    LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
    var log = Logger(label: "controller")
    log.logLevel = logLevel
    do {
      var options = ControllerOptions(try RackFile(file: config))
      if let socket { options.socket = socket }
      if let state { options.stateFile = state }
      if noReplication { options.policy.automatic = false }
      options.detachesOnExit = detachOnExit
      options.replacesProgram = replaceProgram
      let name = options.name
      try Controller.run(options, log: log) { serving in
        print(
          "rack \(name) \(serving.isAdopted ? "goes on" : "serves") at \(serving.rack): "
            + "epoch \(serving.epoch), "
            + "\(serving.servers) servers, control socket \(serving.socket)")
        fflush(nil)
      }
    } catch let error as any CustomStringConvertible & Error {
      for line in error.description.split(separator: "\n") {
        standardError("hotrack controller: \(line)")
      }
      throw ExitCode(1)
    }
  }
}

extension ControllerOptions {
  /// What a rack file says.
  init(_ file: RackFile) {
    self.init(
      name: file.name, rack: Endpoint(file.address, port: file.port),
      controlPort: file.controlPort, hashSeed: file.hashSeed, interfaces: file.interfaces,
      stateFile: file.stateFile, socket: file.socket,
      servers: file.servers.map { server in
        Server(
          number: UInt8(server.number), endpoint: Endpoint(server.address, port: server.port),
          interface: server.interface, mac: server.mac.bytes)
      })
    if let buckets = file.buckets { self.buckets = buckets }
    if let window = file.window { self.window = UInt32(window) }
    policy.apply(file.policy)
    times.apply(file.policy)
  }
}

extension PolicyConfiguration {
  /// What is set takes the place of what is usual.
  fileprivate mutating func apply(_ settings: PolicySettings) {
    set(&automatic, settings.promotion)
    set(&hotKeysMax, settings.hotKeysMax)
    set(&copiesMax, settings.copiesMax)
    set(&readChoice, settings.choice.map { $0 == .load ? .load : .roundRobin })
    set(&promoteShare, settings.promoteShare)
    set(&demoteShare, settings.demoteShare)
    set(&urgentShare, settings.urgentShare)
    set(&minimumRate, settings.minimumRate)
    set(&minimumStay, nanoseconds(settings.minimumStayMilliseconds))
    set(&interval, nanoseconds(settings.intervalMilliseconds))
    set(&movesPerSecond, settings.movesPerSecond)
    set(&movesBurst, settings.movesBurst)
    set(&samplesPerSecond, settings.samplesPerSecond)
    set(&watchedKeys, settings.watchedKeys)
  }
}

extension ControllerTimes {
  fileprivate mutating func apply(_ settings: PolicySettings) {
    set(&probe, nanoseconds(settings.probeMilliseconds))
    set(&serverTimeout, nanoseconds(settings.serverTimeoutMilliseconds))
    set(&serverReturn, nanoseconds(settings.returnTimeoutMilliseconds))
    set(&start, nanoseconds(settings.startTimeoutMilliseconds))
    set(&transition, nanoseconds(settings.transitionTimeoutMilliseconds))
    set(&floor, nanoseconds(settings.floorIntervalMilliseconds))
  }
}

private func set<Value>(_ usual: inout Value, _ value: Value?) {
  if let value { usual = value }
}

private func nanoseconds(_ milliseconds: Int?) -> UInt64? {
  milliseconds.map { UInt64($0) * 1_000_000 }
}
