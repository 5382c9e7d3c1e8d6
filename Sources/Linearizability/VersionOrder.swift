/// Tries the order of the store's versions as the order of the writes. If a linearization with
/// that order exists it is found, and is proof by itself; if none does, nothing is known yet.
struct VersionOrder {
  /// A write and the reads of its value.
  private struct Cluster {
    var write: RegisterHistory.Operation?
    var version: UInt64
    var isAbsent: Bool
    var reads: [Int] = []
    /// The first moment by which something of it must have happened.
    var deadline: Int64
  }

  private let register: RegisterHistory
  private var clusters: [Cluster]
  private var absentReads: [Int] = []

  /// Nil: a write has no version or a condition, or versions or values repeat, so there is no such
  /// order.
  private init?(_ register: RegisterHistory) {
    guard !register.hasConditions,
      register.optionalWrites.allSatisfy({ $0.value == 0 })
    else { return nil }
    self.register = register
    clusters = [Cluster(write: nil, version: 0, isAbsent: true, deadline: .max)]
    var clusterOfValue = [Int](repeating: -1, count: register.reads.count)
    var versionOfRead = [UInt64](repeating: 0, count: register.reads.count)
    for operation in register.operations where !operation.isWrite && operation.version > 0 {
      let known = versionOfRead[operation.value]
      versionOfRead[operation.value] =
        known == 0 ? operation.version : min(known, operation.version)
    }
    for operation in register.operations where operation.isWrite {
      let version = operation.version > 0 ? operation.version : versionOfRead[operation.value]
      if version == 0 { return nil }
      if operation.value != 0 {
        if clusterOfValue[operation.value] >= 0 { return nil }
        clusterOfValue[operation.value] = clusters.count
      }
      clusters.append(
        Cluster(
          write: operation, version: version, isAbsent: operation.value == 0,
          deadline: operation.returned))
    }
    for (place, operation) in register.operations.enumerated() where !operation.isWrite {
      if operation.value == 0 {
        absentReads.append(place)
        continue
      }
      let cluster = clusterOfValue[operation.value]
      if cluster < 0 { return nil }
      clusters[cluster].reads.append(place)
      clusters[cluster].deadline = min(clusters[cluster].deadline, operation.returned)
    }
    addUnknownDeletes()
    clusters.sort { $0.version < $1.version }
    for place in clusters.indices.dropFirst()
    where clusters[place].version == clusters[place - 1].version {
      return nil
    }
  }

  /// Absences with a version that no answered delete had show that an unanswered one took effect.
  private mutating func addUnknownDeletes() {
    guard !register.unknownDeletes.isEmpty else { return }
    var deadlines: [UInt64: Int64] = [:]
    for place in absentReads where register.operations[place].version > 0 {
      let read = register.operations[place]
      deadlines[read.version] = min(deadlines[read.version] ?? .max, read.returned)
    }
    for cluster in clusters where cluster.isAbsent { deadlines[cluster.version] = nil }
    var unused = register.unknownDeletes[...]
    for (version, deadline) in deadlines.sorted(by: { $0.key < $1.key }) {
      guard let invoked = unused.first, invoked <= deadline else { continue }
      unused.removeFirst()
      let write = RegisterHistory.Operation(
        index: -1, action: .write, value: 0, version: version, invoked: invoked, returned: .max)
      clusters.append(
        Cluster(write: write, version: version, isAbsent: true, deadline: .max))
    }
  }

  /// True: the register is linearizable, with its writes in the order of their versions.
  static func linearizes(_ register: RegisterHistory) -> Bool {
    guard var order = VersionOrder(register) else { return false }
    return order.place()
  }

  /// Gives each operation the earliest moment that it can have. Absences fit wherever the register
  /// is empty: each goes to the first such time that it can reach without delaying what follows.
  private mutating func place() -> Bool {
    var deadlineAfter = [Int64](repeating: .max, count: clusters.count)
    for place in clusters.indices.dropLast().reversed() {
      deadlineAfter[place] = min(deadlineAfter[place + 1], clusters[place + 1].deadline)
    }
    let operations = register.operations
    absentReads.sort { operations[$0].invoked < operations[$1].invoked }
    var absences = absentReads[...]
    var now = Int64.min
    func advance(_ operation: RegisterHistory.Operation) -> Bool {
      now = max(now, operation.invoked)
      return now <= operation.returned
    }
    for (place, cluster) in clusters.enumerated() {
      if let write = cluster.write, !advance(write) { return false }
      let reads = cluster.reads.sorted { operations[$0].invoked < operations[$1].invoked }
      for read in reads where !advance(operations[read]) { return false }
      guard cluster.isAbsent else { continue }
      while let first = absences.first, operations[first].invoked <= deadlineAfter[place] {
        absences.removeFirst()
        if !advance(operations[first]) { return false }
      }
    }
    return absences.isEmpty
  }
}
