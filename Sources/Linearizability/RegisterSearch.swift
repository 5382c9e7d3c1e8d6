/// Decides whether the history of one register is linearizable, by following all states that the
/// register can be in from one return to the next.
///
/// This is the just-in-time linearization of G. Lowe ("Testing for linearizability", 2017), after
/// J. Wing and C. Gong (1993): an operation is linearized only when one that has to come at or
/// after it returns; equal configurations are followed once. What keeps them few for a register:
/// - a read is linearized as soon as the register has its value, since it changes nothing;
/// - a value that is written once is not overwritten before its last read was invoked;
/// - a write whose reads have all been invoked, or that nobody reads, hides with them under the next
///   one: the register may have had its value at any moment before;
/// - of writes of the same value under way, the one that returns first is taken first;
/// - writes of unknown outcome are counted, not told apart, and the fewer were used the better.
struct RegisterSearch {
  enum Result: Equatable {
    case linearizable
    /// Nothing could be done so that this operation (a place in the register's) returns.
    case stuck(operation: Int)
    case limit
  }

  /// Words of memory that the configurations may take, about: 256 MB.
  private static let wordsMax = 1 << 25
  private static let unread = -1

  private let register: RegisterHistory
  private let stepLimit: Int
  /// By value: reads and compare-and-sets that need it and were not invoked yet.
  private var uninvoked: [Int]
  /// By kind of optional write: how many were invoked.
  private var invokedOptional: [Int]
  /// The kinds of optional writes that may help the operation that is being linearized.
  private var helpful: [Int] = []
  /// By value: a write of unknown outcome may bring it about.
  private var isOptional: [Bool]
  private var slotOf: [Int]
  private var openSlots: [(slot: Int, operation: Int)] = []
  private var freeSlots: [Int] = []
  private var candidates: [Configuration] = []
  private var steps = 0

  private init(_ register: RegisterHistory, stepLimit: Int) {
    self.register = register
    self.stepLimit = stepLimit
    uninvoked = register.reads
    invokedOptional = Array(repeating: 0, count: register.optionalWrites.count)
    isOptional = Array(repeating: false, count: register.reads.count)
    for writes in register.optionalWrites { isOptional[writes.value] = true }
    slotOf = Array(repeating: -1, count: register.operations.count)
  }

  /// `stepLimit`: how many configurations to look at before giving up.
  static func run(_ register: RegisterHistory, stepLimit: Int) -> Result {
    var search = RegisterSearch(register, stepLimit: stepLimit)
    return search.run()
  }

  private struct Event {
    enum Kind: Int { case optional, invocation, response }
    var time: Int64
    var kind: Kind
    /// A place among the operations, or among the kinds of optional writes.
    var place: Int
  }

  private mutating func run() -> Result {
    let events = sortedEvents()
    var (open, widest) = (0, 0)
    for event in events where event.kind != .optional {
      open += event.kind == .response ? -1 : 1
      widest = max(widest, open)
    }
    freeSlots = Array((0..<widest).reversed())
    candidates = [Configuration(slots: widest)]
    for event in events {
      switch event.kind {
      case .optional: invokedOptional[event.place] += 1
      case .invocation: invoke(event.place)
      case .response:
        guard complete(event.place) else { return .limit }
        if candidates.isEmpty { return .stuck(operation: event.place) }
      }
    }
    return .linearizable
  }

  /// What happens at the same time overlaps: invocations come before returns.
  private func sortedEvents() -> [Event] {
    var events: [Event] = []
    events.reserveCapacity(2 * register.operations.count)
    for (place, writes) in register.optionalWrites.enumerated() {
      for time in writes.invocations {
        events.append(Event(time: time, kind: .optional, place: place))
      }
    }
    for (place, operation) in register.operations.enumerated() {
      events.append(Event(time: operation.invoked, kind: .invocation, place: place))
      events.append(Event(time: operation.returned, kind: .response, place: place))
    }
    return events.sorted {
      ($0.time, $0.kind.rawValue, $0.place) < ($1.time, $1.kind.rawValue, $1.place)
    }
  }

  private mutating func invoke(_ place: Int) {
    let operation = register.operations[place]
    let slot = freeSlots.removeLast()
    slotOf[place] = slot
    openSlots.append((slot, place))
    if let needed = operation.needed { uninvoked[needed] -= 1 }
    guard !operation.isWrite else { return }
    for index in candidates.indices where isSeen(operation, candidates[index].state) {
      candidates[index].done.insert(slot)
    }
  }

  /// Whether a read, or a refused compare-and-set, can be linearized while the register has `state`.
  private func isSeen(_ operation: RegisterHistory.Operation, _ state: Int) -> Bool {
    operation.action == .read ? state == operation.value : state != operation.value
  }

  /// Keeps the configurations in which the operation can have been linearized by now.
  /// False: a limit was reached.
  private mutating func complete(_ place: Int) -> Bool {
    let slot = slotOf[place]
    steps += candidates.count / 16
    if !candidates.allSatisfy({ $0.done.contains(slot) }) {
      guard linearize(place, slot) else { return false }
    }
    for index in candidates.indices { candidates[index].done.remove(slot) }
    openSlots.removeAll { $0.slot == slot }
    freeSlots.append(slot)
    return true
  }

  private mutating func linearize(_ place: Int, _ slot: Int) -> Bool {
    steps += candidates.count
    findHelpful()
    var found = ConfigurationSet(candidates)
    let countMax = Self.wordsMax / (candidates.first?.words ?? 1)
    while let configuration = found.next() {
      if configuration.done.contains(slot) || isHopeless(configuration, place) { continue }
      for next in successors(of: configuration) {
        steps += 1
        guard steps <= stepLimit, found.count <= countMax else { return false }
        found.insert(next)
      }
    }
    candidates = found.all.filter { $0.done.contains(slot) }
    return true
  }

  /// A write that need not be is of use only if something under way needs its value now: where nothing
  /// does, the linearization is as good without it.
  private mutating func findHelpful() {
    guard !register.optionalWrites.isEmpty else { return }
    var needed = Set(openSlots.compactMap { register.operations[$0.operation].needed })
    for (kind, writes) in register.optionalWrites.enumerated() where invokedOptional[kind] > 0 {
      needed.insert(writes.expected)
    }
    helpful = register.optionalWrites.indices.filter { kind in
      invokedOptional[kind] > 0
        && (register.hasDifferences || needed.contains(register.optionalWrites[kind].value))
    }
  }

  /// What needs a value whose one write is over cannot be linearized any more.
  private func isHopeless(_ configuration: Configuration, _ place: Int) -> Bool {
    guard let needed = register.operations[place].needed, configuration.state != needed,
      register.isWrittenOnce(needed), !isOptional[needed]
    else { return false }
    return !openSlots.contains {
      register.operations[$0.operation].isWrite && register.operations[$0.operation].value == needed
        && !configuration.done.contains($0.slot)
    }
  }

  private func successors(of configuration: Configuration) -> [Configuration] {
    let state = configuration.state
    // Even a compare-and-set that expects it would take it away from what is still to need it.
    if state != Self.unread, register.isWrittenOnce(state), uninvoked[state] > 0 { return [] }
    var successors: [Configuration] = []
    for (slot, place) in openSlots where !configuration.done.contains(slot) {
      let operation = register.operations[place]
      switch operation.action {
      case .write:
        guard isFirstToReturn(slot, operation, configuration) else { continue }
        successors.append(entering(operation.value, configuration, hidesOthers: true))
      case .compareAndSet where operation.expected == state:
        successors.append(entering(operation.value, configuration, hidesOthers: false))
      default: continue
      }
      successors[successors.count - 1].done.insert(slot)
    }
    for kind in helpful {
      let writes = register.optionalWrites[kind]
      let isPlain = writes.expected == RegisterHistory.anything
      guard isPlain || writes.expected == state, writes.value != state,
        configuration.used(kind) < invokedOptional[kind]
      else { continue }
      var next = entering(writes.value, configuration, hidesOthers: isPlain)
      next.use(kind)
      successors.append(next)
    }
    return successors
  }

  /// Of several writes of one value the one that returns first is as good as any, and gone first.
  private func isFirstToReturn(
    _ slot: Int, _ operation: RegisterHistory.Operation, _ configuration: Configuration
  ) -> Bool {
    guard !register.isWrittenOnce(operation.value) else { return true }
    return !openSlots.contains { other in
      let rival = register.operations[other.operation]
      return rival.action == .write && rival.value == operation.value
        && (rival.returned, other.slot) < (operation.returned, slot)
        && !configuration.done.contains(other.slot)
    }
  }

  /// The register takes a value. What only has to happen at some time before goes just before, if
  /// the register need not keep its value until then (`hidesOthers`); what finds the value, just after.
  private func entering(
    _ value: Int, _ configuration: Configuration, hidesOthers: Bool
  ) -> Configuration {
    var next = configuration
    next.state = register.isDistinct(value) ? value : Self.unread
    let hides = hidesOthers && !register.hasDifferences
    for (slot, place) in openSlots {
      let operation = register.operations[place]
      switch operation.action {
      case .write:
        guard hides, isFinished(operation.value) else { continue }
        // The reads of its value are done with it; below, or where they stand before it.
        if register.reads[operation.value] > 0, !next.done.contains(slot) {
          finishReads(of: operation.value, in: &next)
        }
        next.done.insert(slot)
      case .compareAndSet: continue
      case .read, .differ:
        if isSeen(operation, next.state) { next.done.insert(slot) }
      }
    }
    return next
  }

  /// Whether nothing that is still to be invoked can find this value, but for a later write of it.
  private func isFinished(_ value: Int) -> Bool {
    guard register.reads[value] > 0 else { return !register.isDistinct(value) }
    return register.isWrittenOnce(value) && uninvoked[value] == 0 && !register.isExpected[value]
  }

  private func finishReads(of value: Int, in configuration: inout Configuration) {
    for (slot, place) in openSlots {
      let operation = register.operations[place]
      if operation.action == .read && operation.value == value { configuration.done.insert(slot) }
    }
  }
}
