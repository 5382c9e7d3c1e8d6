/// The published figures of one of the 54 cache clusters of Twitter that J. Yang, Y. Yue and
/// K. V. Rashmi describe in "A large scale analysis of hundreds of in-memory cache clusters at
/// Twitter" (OSDI 2020). The figures are of the table stat/2020Mar.md of
/// github.com/twitter/cache-trace, which is under CC BY 4.0
/// (creativecommons.org/licenses/by/4.0); here they are without its columns that say nothing of the
/// load, and unchanged otherwise.
public struct TwitterCluster: Sendable {
  /// What the caches were asked to do, in memcached's words; those that the table has.
  public enum Operation: String, Sendable, CaseIterable {
    case get, gets, set, add, cas, incr, prepend, delete
  }

  public let number: Int
  /// The skew that its authors have fitted, after Zipf; 0: no popularity to speak of. nil: none was
  /// published.
  public let alpha: Double?
  /// Mean bytes of a key; nil: not published, and nothing else of the cluster.
  public let keyLength: Int?
  /// Mean bytes of a value.
  public let valueLength: Int?
  /// Shares of requests, rounded to hundredths: together 0.93 to 1.01.
  public let operations: [Operation: Double]

  public var name: String { "cluster\(number)" }

  /// Who the figures are by.
  public static let source = """
    Twitter cache clusters, March 2020 (github.com/twitter/cache-trace, CC BY 4.0; Yang, Yue, \
    Rashmi, OSDI 2020)
    """

  init(
    _ number: Int, alpha: Double?, keyLength: Int?, valueLength: Int?,
    _ operations: [Operation: Double]
  ) {
    self.number = number
    self.alpha = alpha
    self.keyLength = keyLength
    self.valueLength = valueLength
    self.operations = operations
  }

  /// The load that stands for it; nil: too little was published.
  public var profile: WorkloadProfile? {
    guard let keyLength, let valueLength, !operations.isEmpty else { return nil }
    let total = operations.values.reduce(0, +)
    func share(_ kinds: [Operation]) -> Double {
      min(kinds.reduce(0) { $0 + (operations[$1] ?? 0) } / total, 1)
    }
    let reads = share([.get, .gets])
    var profile = WorkloadProfile(
      name: name, source: Self.source, alpha: alpha,
      mix: OperationMix(readShare: reads, deleteShare: min(share([.delete]), 1 - reads)),
      keyLength: keyLength, valueLengths: .fixed(valueLength))
    profile.notes = notes(total: total)
    return profile
  }

  private func notes(total: Double) -> [String] {
    func present(_ kinds: [Operation]) -> String {
      kinds.filter { operations[$0] != nil }.map(\.rawValue).joined(separator: ", ")
    }
    var notes: [String] = []
    if operations[.gets] != nil {
      notes.append("gets is sent as GET, whose reply always has the version")
    }
    let writes = present([.add, .cas, .incr, .prepend])
    if !writes.isEmpty {
      notes.append("\(writes) sent as SET: a write of the whole value, without a condition")
    }
    // Of what was published, nothing is known beyond hundredths.
    if abs(total - 1) > 0.005 {
      notes.append("the published shares add up to \(rounded(total)) and are scaled to 1")
    }
    if alpha == 0 { notes.append("alpha was published as 0: all keys are as popular") }
    if alpha == nil { notes.append("no alpha was published: the one of this run is not its own") }
    notes.append("every key and value is of the mean length")
    return notes
  }

  private func rounded(_ share: Double) -> String {
    let hundredths = Int((share * 100).rounded())
    return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)"
  }
}
