/// Why a testbed cannot be built, found or taken down. Each message says what to do about it.
public enum TestbedError: Error, Sendable, Equatable, CustomStringConvertible {
  case notRoot
  case exists(name: String)
  case notFound(name: String, existing: [String])
  case none
  case several(names: [String])
  case badName(String)
  case noSuchNode(String, nodes: [String])
  case missingTool(String, package: String)
  /// A command of the set-up has failed; `output` is what it said.
  case command(String, status: Int32, output: String)
  case system(doing: String, code: Int32, reason: String)
  /// A process ended, or did not come up in time; `said`: the last lines of its log.
  case process(role: String, what: String, said: String)
  /// Something of a testbed that is left after all attempts to remove it.
  case leftOver(name: String, what: [String])
  case brokenState(file: String, reason: String)
  case interrupted
  case noScenario(file: String)
  case noWorkload(file: String)
  /// The run itself went wrong.
  case run(String)

  public var description: String {
    switch self {
    case .notRoot:
      "a testbed is made of network namespaces, which needs root: run the command with sudo"
    case .exists(let name):
      "testbed \(name) already exists: remove it with `hotrack testbed down \(name)`, "
        + "or give the new one another name"
    case .notFound(let name, let existing) where existing.isEmpty:
      "there is no testbed \(name), and no other: bring one up with `hotrack testbed up \(name)`"
    case .notFound(let name, let existing):
      "there is no testbed \(name); there is \(existing.joined(separator: ", "))"
    case .none:
      "there is no testbed: bring one up with `hotrack testbed up NAME`"
    case .several(let names):
      "there are several testbeds (\(names.joined(separator: ", "))): name the one you mean"
    case .badName(let name):
      "\"\(name)\" cannot be the name of a testbed, and there is no file of that name: use 1 to 20 "
        + "lower-case letters, digits and dashes, or the path of a .toml file"
    case .noSuchNode(let node, let nodes):
      "the testbed has no node \(node); it has \(nodes.joined(separator: ", "))"
    case .missingTool(let tool, let package):
      "the program `\(tool)` is missing: install it with `apt-get install \(package)`"
    case .command(let command, let status, let output):
      "`\(command)` failed with status \(status)\(output.isEmpty ? "" : ": \(output)")"
    case .system(let doing, let code, let reason):
      "cannot \(doing): \(reason) (error \(code))"
    case .process(let role, let what, ""):
      "\(role) \(what), and said nothing; `hotrack testbed up --keep` leaves the rack to look at"
    case .process(let role, let what, let said):
      "\(role) \(what); the last that it said: \(said)"
    case .leftOver(let name, let what):
      "of testbed \(name) this is left and cannot be removed: \(what.joined(separator: ", ")); "
        + "end what uses it and repeat `hotrack testbed down \(name)`"
    case .brokenState(let file, let reason):
      "\(file) cannot be used: \(reason); `hotrack testbed down` removes the testbed all the same"
    case .interrupted:
      "interrupted; the testbed has been removed"
    case .noScenario(let file):
      "\(file) has no [scenario] table, so there is nothing to run; "
        + "testbed/linearizability.toml is an example"
    case .noWorkload(let file):
      "\(file) has no [workload] table, so there is no load to show; testbed/demo.toml is an example"
    case .run(let reason):
      reason
    }
  }
}
