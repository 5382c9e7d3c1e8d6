/// A workload that has a name: how skewed it is, what is done to keys, and how long these are.
public struct WorkloadProfile: Sendable {
  /// As in "cluster18" or "ycsb-a".
  public var name: String
  /// Who published it.
  public var source: String
  /// The skew, after Zipf; nil: not published, so that the user has to choose one.
  public var alpha: Double?
  public var mix: OperationMix
  /// Of popularity.
  public var order: KeySpace.Order = .scattered
  /// Bytes of each key.
  public var keyLength: Int
  public var valueLengths: ValueLengths
  /// What is done otherwise than its source has it, and why; each one a clause.
  public var notes: [String] = []

  public init(
    name: String, source: String, alpha: Double?, mix: OperationMix, keyLength: Int,
    valueLengths: ValueLengths
  ) {
    self.name = name
    self.source = source
    self.alpha = alpha
    self.mix = mix
    self.keyLength = keyLength
    self.valueLengths = valueLengths
  }

  /// Cuts keys to `keyLengthMax` bytes and values to what is left of `bodyLengthMax`, and notes it.
  public mutating func cut(keyLengthMax: Int, bodyLengthMax: Int) {
    if keyLength > keyLengthMax {
      notes.append("keys of \(keyLength) bytes are cut to \(keyLengthMax)")
      keyLength = keyLengthMax
    }
    let room = bodyLengthMax - keyLength
    guard valueLengths.longest > room else { return }
    notes.append(
      "values of \(valueLengths.longest) bytes are cut to \(room): what one datagram holds")
    switch valueLengths {
    case .fixed: valueLengths = .fixed(room)
    case .uniform(let range): valueLengths = .uniform(min(range.lowerBound, room)...room)
    }
  }
}

/// The core workloads of YCSB (Cooper et al.: Benchmarking cloud serving systems with YCSB, SoCC
/// 2010), but for E, which needs scans.
public enum YCSBWorkload: String, Sendable, CaseIterable {
  /// Half reads, half updates.
  case a
  /// 95 % reads, 5 % updates.
  case b
  /// Reads only.
  case c
  /// 95 % reads of the latest records, 5 % inserts.
  case d
  /// Half reads, half read-modify-writes.
  case f

  public var profile: WorkloadProfile {
    let mix =
      switch self {
      case .a: OperationMix(readShare: 0.5)
      case .b: OperationMix(readShare: 0.95)
      case .c: OperationMix.readsOnly
      case .d: OperationMix(readShare: 0.95, insertShare: 0.05)
      case .f: OperationMix(readShare: 0.5, readModifyWriteShare: 0.5)
      }
    // YCSB: "user" and a hash of up to 19 digits; ten fields of 100 bytes; its constant of Zipf.
    var profile = WorkloadProfile(
      name: "ycsb-\(rawValue)",
      source: "YCSB core workload \(rawValue.uppercased()) (Cooper et al., SoCC 2010)", alpha: 0.99,
      mix: mix, keyLength: 23, valueLengths: .fixed(1_000))
    profile.notes = ["a record's ten fields are one value, and every update writes all of it"]
    switch self {
    case .d:
      profile.order = .latest
      profile.notes.append(
        "reads are of as many of the latest records as there were keys at the beginning")
    case .f:
      profile.notes.append(
        """
        a read-modify-write is a GET and, with the next arrival, a SET of the same key, which does \
        not wait for the GET: each counts as an operation
        """)
    default: break
    }
    return profile
  }
}
