/// What the versions in a history promise beyond linearizability: each belongs to one write, a
/// value is read with its write's version or, given afresh, a greater one, and they rise in time.
public enum VersionConsistency {
  /// What contradicts it, or nil.
  public static func problem(in history: History) -> String? {
    var byKey = [[HistoryOperation]](repeating: [], count: history.keys.count)
    for operation in history.operations where operation.outcome.isCertain {
      // Once its tombstone is forgotten, an absence has no version any more.
      if operation.outcome == .notFound && operation.version == 0 { continue }
      byKey[Int(operation.key)].append(operation)
    }
    for operations in byKey {
      if let problem = writesAndReads(operations, history) { return problem }
      if let problem = order(operations, history) { return problem }
    }
    return nil
  }

  private static func writesAndReads(
    _ operations: [HistoryOperation], _ history: History
  ) -> String? {
    var versionOfValue: [Int32: UInt64] = [:]
    var written: [UInt64: HistoryOperation] = [:]
    for operation in operations where operation.kind != .get {
      if operation.version == 0 {
        return "a write without a version: \(history.description(of: operation))"
      }
      if let other = written.updateValue(operation, forKey: operation.version) {
        return "one version for two writes: \(history.description(of: operation)) and "
          + history.description(of: other)
      }
      if operation.kind == .set { versionOfValue[operation.value] = operation.version }
    }
    for operation in operations where operation.outcome == .ok && operation.kind == .get {
      guard let version = versionOfValue[operation.value] else { continue }
      if operation.version < version {
        return "a read below its write's version \(version): \(history.description(of: operation))"
      }
    }
    return nil
  }

  /// What is invoked after another has returned does not have a smaller version.
  private static func order(_ operations: [HistoryOperation], _ history: History) -> String? {
    let byReturn = operations.sorted { $0.returned < $1.returned }
    var newest: HistoryOperation?
    var next = 0
    for operation in operations.sorted(by: { $0.invoked < $1.invoked }) {
      while next < byReturn.count, byReturn[next].returned < operation.invoked {
        if byReturn[next].version > newest?.version ?? 0 { newest = byReturn[next] }
        next += 1
      }
      if let newest, operation.version < newest.version {
        return "\(history.description(of: operation)) came after "
          + history.description(of: newest)
      }
    }
    return nil
  }
}
