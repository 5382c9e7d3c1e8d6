/// A testbed file (`testbed/*.toml`): a rack to build out of network namespaces, and what to do
/// with it.
public struct TestbedFile: Sendable, Equatable {
  /// `[workload]`: what the demo's clients ask for.
  public struct Workload: Sendable, Equatable {
    /// `keys`: how many different keys there are.
    public var keys: Int
    /// `zipf`: how unevenly they are asked for; 0: evenly.
    public var zipf: Double
    /// `read_share` of the operations; the rest are writes.
    public var readShare: Double
    /// `value_length` in bytes.
    public var valueLength: Int
    /// `rate`: operations per second that arrive, whatever the answers do.
    public var rate: Double
    /// `duration_s`: seconds of load that are measured.
    public var duration: Double
    /// `warm_up_s`: seconds of load before.
    public var warmUp: Double
    /// `seed` of arrivals and keys.
    public var seed: UInt64
  }

  /// `[scenario]`: a history to record and to check.
  public struct Scenario: Sendable, Equatable {
    /// `operations` in total; with `duration`, how many it must be at least.
    public var operations: Int
    /// `duration_s`: seconds to record; nil: until the operations are done.
    public var duration: Double?
    /// `processes` that record, spread over the client namespaces.
    public var processes: Int
    /// `bound_processes`: in so many of them each client keeps to one key, so that clients which wait
    /// for a key that is not served take nothing from the others.
    public var boundProcesses: Int
    /// `clients` of each process; each waits for the end of its operation before the next.
    public var clients: Int
    /// `keys` that they share.
    public var keys: Int
    /// `zipf`: how unevenly these are asked for; 0: evenly.
    public var zipf: Double
    /// `read_share` of the operations.
    public var readShare: Double
    /// `delete_share` of the operations; the rest are writes.
    public var deleteShare: Double
    /// `rate`: operations per second of all processes together at most; nil: as many as they can.
    public var rate: Double?
    /// `transitions_every_ms`: how often a key is promoted or demoted by force; 0: never.
    public var transitionsEveryMilliseconds: Int
    /// `pinned`: each process stays on one processor, in turns.
    public var pinned: Bool
    /// `nothing_lost`: no answer may be `lost`.
    public var nothingLost = false
    /// `time_limit_s` for the whole recording.
    public var timeLimit: Int
    /// `seed` of keys, kinds and transitions.
    public var seed: UInt64
  }

  /// What `engine` may say.
  public enum Engine: String, Sendable, CaseIterable, CustomStringConvertible {
    case memory
    case rocksdb

    public var description: String { "\"\(rawValue)\"" }
  }

  /// `name`: part of the names of namespaces.
  public var name: String
  /// `servers`, 1...32.
  public var servers: Int
  /// `clients`: client namespaces.
  public var clients: Int
  /// `mode`: whether the directory host is between clients and servers, or beside them on a bridge.
  public var mode = DirectoryMode.switch
  /// `plane`, as in the rack file.
  public var plane = PlaneChoice.auto
  /// `ipv6`: everybody has IPv6 addresses, instead of IPv4.
  public var isIPv6 = false
  /// `capacity`: operations per second that each server emulates; nil: as fast as it can.
  public var capacity: Int?
  /// `one_process` hosts all servers, each in its own namespace, instead of one process for each.
  public var oneProcess: Bool
  /// `gather_us`: real servers serve at most so often, all that has come meanwhile; 0: each request
  /// at once.
  public var gatherMicroseconds = 0
  /// `engine`: where servers keep their keys, "memory" or "rocksdb".
  public var engine = Engine.memory
  /// `data`: for "rocksdb", a directory on a disk. The servers' data is in a folder of it that has the
  /// testbed's name, which is made when the testbed comes up and removed when it goes down. nil:
  /// /var/tmp/hotrack-testbed.
  public var data: String?
  /// `disk_mb`: each server's data is on a small disk of its own, in memory. nil: on that of `data`.
  public var diskMegabytes: Int?
  /// `copies`: servers that an acknowledged write is on, 1 or 2; with 2 the engine is "memory".
  public var copies = 1
  /// `tagged`: the rack has a key, which is made when it comes up, and its packets carry tags.
  public var isTagged = false
  /// `hash_seed` of the key hash, which decides which server is home of which key.
  public var hashSeed: UInt64
  /// `buckets` of the directory; nil: the default.
  public var buckets: Int?
  /// `window`: versions that a state word can count; nil: the default.
  public var window: Int?
  /// `[policy]`, as in the rack file.
  public var policy = PolicySettings()
  /// `[limits]`, as in the rack file.
  public var limits = LimitSettings()
  /// What `hotrack demo` asks for; nil: the file has none.
  public var workload: Workload?
  /// What `hotrack testbed run` records; nil: the file has none.
  public var scenario: Scenario?
  /// `[[fault]]`: what breaks in the meantime, by the time at which it begins.
  public var faults: [Fault] = []

  /// A rack without anything to do, as `hotrack testbed up NAME` builds it.
  public init(name: String, servers: Int = 4, clients: Int = 1) {
    self.name = name
    self.servers = servers
    self.clients = clients
    capacity = nil
    oneProcess = false
    hashSeed = 0
  }

  /// Reads and checks a testbed file.
  /// - Throws: everything that is wrong with it, at once.
  public init(file: String) throws(ConfigurationError) {
    self = try Self(text: try readText(file: file), file: file)
  }

  /// As `init(file:)`, from text; `file` is the name for messages.
  public init(text: String, file: String) throws(ConfigurationError) {
    self = try readDocument(text: text, file: file) { Self($0) }
  }

  private init(_ document: TableReader) {
    let bed = document.requiredTable("testbed")
    name = bed?.requiredString("name", testbedNameExpected, Self.isName) ?? ""
    servers = bed?.requiredInteger("servers", 1...32, placeholder: 1) ?? 1
    clients = bed?.integer("clients", 1...16) ?? 1
    mode = DirectoryMode(bed) ?? .switch
    plane = PlaneChoice(bed) ?? .auto
    isIPv6 = bed?.bool("ipv6") ?? false
    capacity = bed?.integer("capacity", 10...1_000_000)
    oneProcess = bed?.bool("one_process") ?? false
    gatherMicroseconds = bed?.integer("gather_us", 0...10_000) ?? 0
    engine =
      bed?.string("engine", Engine.allCases.map(\.description).joined(separator: " or ")) {
        Engine(rawValue: $0) != nil
      }.flatMap { Engine(rawValue: $0) } ?? .memory
    data = bed?.string("data", pathExpected, isAbsolutePath)
    if let data, engine == .memory {
      bed?.wrong("data", shown: data, "nothing, unless engine is \"rocksdb\"")
    }
    diskMegabytes = bed?.integer("disk_mb", 48...4096)
    if let diskMegabytes, engine == .memory {
      bed?.wrong("disk_mb", shown: "\(diskMegabytes)", "nothing, unless engine is \"rocksdb\"")
    }
    copies = bed?.integer("copies", 1...2) ?? 1
    if copies > 1, engine == .rocksdb {
      bed?.wrong("copies", shown: "2", "1, if engine is \"rocksdb\"")
    }
    if copies > 1, servers < 2 {
      bed?.wrong("copies", shown: "2", "1, unless there are two servers at least")
    }
    isTagged = bed?.bool("tagged") ?? false
    hashSeed = UInt64(bed?.integer("hash_seed", 0...Int.max) ?? 0)
    buckets = bed?.powerOfTwo("buckets", 1...(1 << 20))
    window = bed?.powerOfTwo("window", 16...(1 << 30))
    bed?.finish()
    policy = document.table("policy").map { PolicySettings($0) } ?? PolicySettings()
    limits = document.table("limits").map { LimitSettings($0) } ?? LimitSettings()
    workload = document.table("workload").map { Workload($0) }
    scenario = document.table("scenario").map { Scenario($0) }
    let tables = document.tables("fault")
    if let first = tables.first, scenario == nil {
      document.wrong("fault", shown: "faults", "a [scenario] that \(first.path) is to disturb")
    }
    faults = tables.compactMap {
      Fault($0, servers: servers, clients: clients, end: scenario?.duration)
    }.sorted { $0.begin < $1.begin }
    checkDisks(document)
  }

  /// Only what there is can break.
  private func checkDisks(_ document: TableReader) {
    if engine != .rocksdb, faults.contains(where: { $0.kind == .corrupt }) {
      document.wrong("fault", shown: "corrupt", "servers with data: engine = \"rocksdb\"")
    }
    if diskMegabytes == nil, faults.contains(where: { $0.kind == .fullDisk }) {
      document.wrong("fault", shown: "full-disk", "servers with small disks: disk_mb")
    }
  }

  /// Whether a testbed can be called so.
  public static func isName(_ text: String) -> Bool { isPlainName(text, length: 1...20) }
}

let testbedNameExpected = "a name of 1 to 20 lower-case letters, digits and dashes"

extension TestbedFile.Workload {
  init(_ reader: TableReader) {
    keys = reader.integer("keys", 1...100_000_000) ?? 100_000
    zipf = reader.number("zipf", 0...2) ?? 1.2
    readShare = reader.number("read_share", 0...1) ?? 1
    valueLength = reader.integer("value_length", 0...1000) ?? 64
    rate = reader.requiredNumber("rate", 1...1_000_000, placeholder: 1)
    duration = reader.number("duration_s", 1...3600) ?? 15
    warmUp = reader.number("warm_up_s", 0...600) ?? 3
    seed = UInt64(reader.integer("seed", 0...Int.max) ?? 1)
    reader.finish()
  }
}

extension TestbedFile.Scenario {
  init(_ reader: TableReader) {
    operations = reader.requiredInteger("operations", 1...10_000_000, placeholder: 1)
    duration = reader.number("duration_s", 1...3600)
    processes = reader.integer("processes", 1...16) ?? 1
    boundProcesses = reader.integer("bound_processes", 0...16) ?? 0
    clients = reader.integer("clients", 1...256) ?? 8
    keys = reader.requiredInteger("keys", 1...100_000, placeholder: 1)
    zipf = reader.number("zipf", 0...2) ?? 0
    readShare = reader.number("read_share", 0...1) ?? 0.6
    deleteShare = reader.number("delete_share", 0...1) ?? 0.05
    rate = reader.number("rate", 1...1_000_000)
    transitionsEveryMilliseconds = reader.integer("transitions_every_ms", 0...60_000) ?? 0
    pinned = reader.bool("pinned") ?? false
    nothingLost = reader.bool("nothing_lost") ?? false
    timeLimit = reader.integer("time_limit_s", 1...3600) ?? 120
    seed = UInt64(reader.integer("seed", 0...Int.max) ?? 1)
    if readShare + deleteShare > 1 {
      reader.wrong(
        "delete_share", shown: String(deleteShare),
        "at most \(1 - readShare), what read_share (\(readShare)) leaves over")
    }
    if boundProcesses > processes {
      reader.wrong(
        "bound_processes", shown: String(boundProcesses),
        "at most \(processes), as many as there are processes")
    }
    if boundProcesses > 0, clients < keys {
      reader.wrong(
        "clients", shown: String(clients),
        "with bound_processes at least one for each of the \(keys) keys")
    }
    if processes > operations {
      reader.wrong(
        "processes", shown: String(processes), "at most one for each of the operations")
    }
    reader.finish()
  }
}
