import ArgumentParser
import Configuration
import Controller
import ControllerCore
import DataPlane
import Foundation
import Logging
import Sockets
import Wire

/// What `hotrack controller` and `hotrack attach` have in common: all but the interfaces.
struct ControllerArguments: ParsableArguments {
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

  /// What the rack file says, and the command line instead.
  private func options(_ change: (inout RackFile) -> Void) throws -> ControllerOptions {
    var file = try RackFile(file: config)
    change(&file)
    if let socket { file.socket = socket }
    if let state { file.stateFile = state }
    var options = ControllerOptions(file)
    options.keys = try file.rackKeyFile.map { path throws(RackKeyError) in
      try RackKeys(file: path)
    }
    if noReplication { options.policy.automatic = false }
    options.detachesOnExit = detachOnExit
    options.replacesProgram = replaceProgram
    return options
  }

  /// Runs a controller until a signal ends it. `change`: of what the rack file says.
  /// `isDryRun`: packets are counted only.
  func run(
    command: String, isDryRun: Bool = false,
    _ change: @escaping (inout RackFile) -> Void = { _ in }
  ) throws {
    LoggingSystem.bootstrap { LogOutput.handler(label: $0) }
    var log = Logger(label: "controller")
    log.logLevel = logLevel
    do {
      var options = try self.options(change)
      options.isDryRun = isDryRun
      let name = options.name
      let readOptions = { () throws(ReloadRefusal) -> ControllerOptions in
        do {
          return try self.options(change)
        } catch {
          let lines = "\(error)".split(separator: "\n")
          throw ReloadRefusal(lines.map { .init(text: String($0)) })
        }
      }
      try Controller.run(options, log: log, readOptions: readOptions) { serving in
        guard !serving.isDryRun else {
          print(
            "rack \(name) is watched at \(serving.rack): a dry run, packets are counted only, "
              + "\(serving.servers) servers, control socket \(serving.socket)")
          fflush(nil)
          return
        }
        print(
          "rack \(name) \(serving.isAdopted ? "goes on" : "serves") at \(serving.rack): "
            + "epoch \(serving.epoch), "
            + "\(serving.servers) servers, control socket \(serving.socket)")
        fflush(nil)
      }
    } catch let error as any CustomStringConvertible & Error {
      for line in error.description.split(separator: "\n") {
        standardError("hotrack \(command): \(line)")
      }
      throw ExitCode(1)
    }
  }
}
