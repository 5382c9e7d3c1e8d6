import ArgumentParser
import Configuration
import Foundation
import Testbed

/// `hotrack testbed`: racks made of network namespaces on this host.
struct TestbedCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "testbed",
    abstract: "Build a rack out of network namespaces on this host, and use it.",
    discussion: """
      A testbed is a directory host, servers and clients, each in a network namespace of its own, \
      joined by veth links: real processes and real packets. Several may exist side by side. \
      Its files are in /run/hotrack/testbed/NAME. Needs root.
      """,
    subcommands: [
      TestbedUpCommand.self, TestbedStatusCommand.self, TestbedExecCommand.self,
      TestbedRunCommand.self, TestbedBreakCommand.self, TestbedDownCommand.self,
      TestbedRelayCommand.self,
    ])
}

/// `hotrack testbed up`.
struct TestbedUpCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "up",
    abstract: "Bring a testbed up; return when its rack serves.",
    discussion: "Exit codes: 0 it serves, 1 it could not be built (nothing is left of it).")

  @Argument(
    help: """
      A testbed file, or a name for a rack of --servers and --clients. (default: a rack called small)
      """)
  var nameOrFile = "small"

  @Option(help: "Servers, 1 to 32, instead of the file's.")
  var servers: Int?

  @Option(help: "Client namespaces, 1 to 16, instead of the file's.")
  var clients: Int?

  @Flag(help: "Leave a testbed whose rack does not come up, to look at its logs.")
  var keep = false

  func validate() throws {
    guard (1...32).contains(servers ?? 1) else { throw ValidationError("--servers: 1 to 32") }
    guard (1...16).contains(clients ?? 1) else { throw ValidationError("--clients: 1 to 16") }
  }

  func run() throws {
    try reportingFailure("testbed up") {
      var file = try testbedFile(nameOrFile)
      if let servers { file.servers = servers }
      if let clients { file.clients = clients }
      let line = ProgressLine()
      let bed: Testbed
      do {
        defer { line.clear() }
        bed = try Testbed.up(file, keepOnFailure: keep) { line.show($0) }
      }
      print(
        """
        testbed \(bed.name) serves at \(bed.layout.rackAddress): \(file.servers) servers, \
        \(file.clients) client namespaces
        try:     hotrack testbed exec c0 --bed \(bed.name) -- hotrack set greeting hello
        remove:  hotrack testbed down \(bed.name)
        """)
    }
  }
}

/// `hotrack testbed status`.
struct TestbedStatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Show a testbed's processes, namespaces and health.",
    discussion: "Exit codes: 0 healthy, 1 not healthy or not there.")

  @Argument(help: "Its name or file. Default: the only one there is.")
  var nameOrFile: String?

  @Flag(help: "Print one JSON object.")
  var json = false

  func run() throws {
    try reportingFailure("testbed status") {
      let status = try Testbed.existing(try existingName(nameOrFile)).status()
      if json { try printJSON(status) } else { print(status.text) }
      guard status.healthy else { throw ExitCode(1) }
    }
  }
}

/// `hotrack testbed exec`.
struct TestbedExecCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "exec",
    abstract: "Run a command in the namespace of one node.",
    discussion: """
      The nodes are dir, s0, s1 ... and c0, c1 ...; HOTRACK_RACK and HOTRACK_SOCKET are set for the \
      command, and `hotrack` means this program. Its exit status is the command's.
      """)

  @Argument(help: "The node: dir, s0, c0 ...")
  var node: String

  @Option(help: ArgumentHelp("The testbed. Default: the only one there is.", valueName: "name"))
  var bed: String?

  @Argument(parsing: .postTerminator, help: "The command, behind --.")
  var command: [String] = []

  func validate() throws {
    guard !command.isEmpty else {
      throw ValidationError("there is no command: write it behind --, as in `exec c0 -- ip link`")
    }
  }

  func run() throws {
    try reportingFailure("testbed exec") {
      let name = try existingName(bed)
      let testbed = try Testbed.existing(name)
      setenv("HOTRACK_RACK", "\(testbed.layout.rackAddress)", 1)
      setenv("HOTRACK_SOCKET", testbed.controlSocket, 1)
      let executable = Testbed.ownExecutable()
      try testbed.execute(
        command[0] == "hotrack" ? [executable] + command.dropFirst() : command, node: node)
    }
  }
}

/// `hotrack testbed down`.
struct TestbedDownCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "down",
    abstract: "End a testbed's processes; remove its namespaces, links and files.",
    discussion: "Works in whatever state it is. Exit codes: 0 nothing is left, 1 otherwise.")

  @Argument(help: "Its name or file. Default: the only one there is.")
  var nameOrFile: String?

  func run() throws {
    try reportingFailure("testbed down") {
      try Testbed.down(name: try existingName(nameOrFile))
    }
  }
}

/// The file that is meant, or a small rack of that name.
func testbedFile(_ nameOrFile: String) throws -> TestbedFile {
  if nameOrFile.hasSuffix(".toml") || nameOrFile.contains("/") {
    return try TestbedFile(file: nameOrFile)
  }
  guard TestbedFile.isName(nameOrFile) else { throw TestbedError.badName(nameOrFile) }
  return TestbedFile(name: nameOrFile)
}

/// The name that is meant, which may be given as a file, or not at all if there is only one.
func existingName(_ nameOrFile: String?) throws -> String {
  if let nameOrFile { return try testbedFile(nameOrFile).name }
  let names = Testbed.names()
  guard let name = names.first else { throw TestbedError.none }
  guard names.count == 1 else { throw TestbedError.several(names: names) }
  return name
}

/// Runs a command; an error of ours is told in its own words, with exit status 1.
func reportingFailure(_ command: String, _ body: () throws -> Void) throws {
  do {
    try body()
  } catch let error as ExitCode {
    throw error
  } catch let error as ValidationError {
    throw error
  } catch {
    for line in "\(error)".split(separator: "\n") { standardError("hotrack \(command): \(line)") }
    throw ExitCode(1)
  }
}

/// One line on a terminal that is written over; nothing where standard error is no terminal.
struct ProgressLine: Sendable {
  private let isTerminal = isatty(STDERR_FILENO) == 1

  func show(_ text: String) {
    if isTerminal { FileHandle.standardError.write(Data("\r\u{1b}[2K\(text)".utf8)) }
  }
  func clear() {
    if isTerminal { FileHandle.standardError.write(Data("\r\u{1b}[2K".utf8)) }
  }
}
