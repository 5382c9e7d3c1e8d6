import ArgumentParser
import LoadGenerator
import Wire
import Workload

/// The options of `hotrack load` that say what the operations are like.
struct WorkloadOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("A YCSB core workload: A, B, C, D or F.", valueName: "letter"),
    transform: WorkloadOptions.ycsb(of:))
  var ycsb: YCSBWorkload?

  @Option(
    help: ArgumentHelp(
      "The published figures of a Twitter cache cluster, cluster1 to cluster54; see `hotrack profiles`.",
      valueName: "name"))
  var profile: String?

  @Flag(help: "All keys are as popular: --zipf 0.")
  var uniform = false

  @Option(help: "Bytes of each key, up to 250. Default: 9, or the profile's.")
  var keySize: Int?

  @Option(
    help: ArgumentHelp(
      "Bytes of each value written, as in 64, or evenly from a range, as in 16-256. Default: 64, or the profile's.",
      valueName: "bytes"),
    transform: WorkloadOptions.valueLengths(of:))
  var valueSize: ValueLengths?

  @Option(
    help: """
      Change which keys are popular while the load runs: hot-in (the coldest keys move to the top), \
      hot-out (the hottest to the bottom), random (some of the hottest change places with others), \
      or alternate (hot-in and hot-out in turns).
      """)
  var change: ChangeKind?

  @Option(help: "Keys that one change moves.")
  var changeKeys = 100

  @Option(help: "Of a random change: among how many of the hottest.")
  var changeTop = 10_000

  @Option(help: "Milliseconds from one change to the next; the first comes after as long.")
  var changeEveryMs = 1_000.0

  enum ChangeKind: String, ExpressibleByArgument, CaseIterable {
    case hotIn = "hot-in"
    case hotOut = "hot-out"
    case random, alternate
  }

  @Sendable private static func ycsb(of text: String) throws -> YCSBWorkload {
    guard let workload = YCSBWorkload(rawValue: text.lowercased()) else {
      throw ValidationError("one of A, B, C, D and F")
    }
    return workload
  }

  /// Of "64", or "16-256".
  @Sendable private static func valueLengths(of text: String) throws -> ValueLengths {
    let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) ?? -1 }
    guard (1...2).contains(ends.count), ends[0] >= 0, ends[0] <= ends[ends.count - 1] else {
      throw ValidationError("a length as in 64, or a range as in 16-256")
    }
    return ends.count == 1 ? .fixed(ends[0]) : .uniform(ends[0]...ends[1])
  }

  var isNamed: Bool { ycsb != nil || profile != nil }
  /// Any of them was given.
  var isUsed: Bool {
    isNamed || uniform || keySize != nil || valueSize != nil || change != nil
  }

  /// The profile that was named, if one was, with what other options change of it. `mix`: without a
  /// profile.
  func resolve(keyCount: Int, alpha: Double?, mix: OperationMix) throws -> WorkloadProfile {
    guard ycsb == nil || profile == nil else {
      throw ValidationError("--ycsb and --profile: one of them")
    }
    guard !uniform || (alpha ?? 0) == 0 else {
      throw ValidationError("--uniform and --zipf: one of them")
    }
    var resolved =
      if let ycsb { ycsb.profile } else if let profile { try Self.cluster(profile) } else {
        WorkloadProfile(
          name: "custom", source: "options", alpha: 1.2, mix: mix, keyLength: 9,
          valueLengths: .fixed(64))
      }
    if let alpha = uniform ? 0 : alpha {
      if isNamed, let published = resolved.alpha, published != alpha {
        resolved.notes.append("alpha is \(alpha) instead of \(published), as asked for")
      }
      resolved.alpha = alpha
    }
    guard resolved.alpha != nil else {
      throw ValidationError(
        "--profile \(resolved.name): no alpha was published for it; choose one with --zipf")
    }
    let shortest = 1 + String(keyCount - 1).utf8.count
    if let keySize {
      guard (shortest...WireLimits.keyLengthMax).contains(keySize) else {
        throw ValidationError(
          "--key-size: \(shortest) to \(WireLimits.keyLengthMax) bytes for \(keyCount) keys")
      }
      resolved.keyLength = keySize
    }
    if let valueSize { resolved.valueLengths = valueSize }
    resolved.cut(
      keyLengthMax: WireLimits.keyLengthMax, bodyLengthMax: WireLimits.bodyLengthMax)
    return resolved
  }

  /// The published load of a Twitter cluster, or why there is none.
  static func cluster(_ name: String) throws -> WorkloadProfile {
    guard let cluster = TwitterCluster.all.first(where: { $0.name == name }) else {
      throw ValidationError(
        "--profile: there is no '\(name)'; there are cluster1 to cluster54; `hotrack profiles` lists them"
      )
    }
    guard let profile = cluster.profile else {
      throw ValidationError("--profile \(name): its load was not published; choose another")
    }
    return profile
  }

  /// The changes of popularity among so many keys, if any were asked for.
  func schedule(keyCount: Int, order: KeySpace.Order) throws -> PopularitySchedule? {
    guard let change else { return nil }
    let cycle: [PopularityChange] =
      switch change {
      case .hotIn: [.hotIn(changeKeys)]
      case .hotOut: [.hotOut(changeKeys)]
      case .random: [.random(keys: changeKeys, top: min(changeTop, keyCount))]
      case .alternate: [.hotIn(changeKeys), .hotOut(changeKeys)]
      }
    guard order == .scattered else {
      throw ValidationError("--change: not with --ycsb D, whose popularity is by age")
    }
    guard cycle.allSatisfy({ $0.isPossible(among: keyCount) }) else {
      throw ValidationError(
        """
        --change-keys: 1 or more, and fewer than --keys; with random changes, at most --change-top \
        and at most the keys below those
        """)
    }
    guard changeEveryMs >= 0.001, changeEveryMs <= 1e9 else {
      throw ValidationError("--change-every-ms: 0.001 to 1,000,000,000")
    }
    return PopularitySchedule(cycle, every: UInt64(changeEveryMs * 1e6))
  }
}

/// What was put on the rack, for the JSON output.
struct WorkloadDescription: Encodable {
  let profile: WorkloadProfile
  /// nil: the run decides.
  let keys: Int?

  enum CodingKeys: String, CodingKey {
    case name, source, alpha, keys, mapping
    case keyLength = "key_bytes"
    case shortestValue = "value_bytes_min"
    case longestValue = "value_bytes_max"
    case reads = "read_share"
    case writes = "write_share"
    case deletes = "delete_share"
    case inserts = "insert_share"
    case readModifyWrites = "read_modify_write_share"
  }

  func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: CodingKeys.self)
    try fields.encode(profile.name, forKey: .name)
    try fields.encode(profile.source, forKey: .source)
    try fields.encode(profile.alpha, forKey: .alpha)
    try fields.encode(keys, forKey: .keys)
    try fields.encode(profile.notes, forKey: .mapping)
    try fields.encode(profile.keyLength, forKey: .keyLength)
    try fields.encode(profile.valueLengths.shortest, forKey: .shortestValue)
    try fields.encode(profile.valueLengths.longest, forKey: .longestValue)
    try fields.encode(profile.mix.readShare, forKey: .reads)
    try fields.encode(profile.mix.writeShare, forKey: .writes)
    try fields.encode(profile.mix.deleteShare, forKey: .deletes)
    try fields.encode(profile.mix.insertShare, forKey: .inserts)
    try fields.encode(profile.mix.readModifyWriteShare, forKey: .readModifyWrites)
  }
}

/// A report with the workload that it is of, in one JSON object.
struct MeasuredLoad: Encodable {
  let report: LoadReport
  let workload: WorkloadDescription

  enum CodingKeys: CodingKey { case workload }

  func encode(to encoder: any Encoder) throws {
    try report.encode(to: encoder)
    var fields = encoder.container(keyedBy: CodingKeys.self)
    try fields.encode(workload, forKey: .workload)
  }
}
