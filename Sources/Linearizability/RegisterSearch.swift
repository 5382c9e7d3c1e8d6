/// Decides whether the history of one register is linearizable, by following all states that the
/// register can be in from one return to the next.
///
/// This is the just-in-time linearization of G. Lowe ("Testing for linearizability", 2017), after
/// J. Wing and C. Gong (1993): an operation is linearized only when one that has to come at or
/// after it returns; equal configurations are followed once. What keeps them few for a register:
/// - a read is linearized as soon as the register has its value, since it changes nothing;
/// - a value that is written once is not overwritten before its last read was invoked;
/// - a write that nobody reads hides under the next one;
/// - deletes of unknown outcome are counted, not told apart, and the fewer were used the better.
struct RegisterSearch {
  enum Result: Equatable {
    case linearizable
    /// Nothing could be done so that this operation (a place in the register's) returns.
    case stuck(operation: Int)
    case limit
  }

  /// What the register may have gone through so far.
  private struct Configuration: Hashable {
    /// The value's number; `unread`: one that nobody reads.
    var state: Int
    /// Bit per open slot: its operation has been linearized.
    var done: [UInt64]

    func has(_ slot: Int) -> Bool { done[slot >> 6] >> UInt64(slot & 63) & 1 == 1 }
    mutating func set(_ slot: Int) { done[slot >> 6] |= 1 << UInt64(slot & 63) }
    mutating func clear(_ slot: Int) { done[slot >> 6] &= ~(1 << UInt64(slot & 63)) }
  }

  private struct Candidate {
    var configuration: Configuration
    /// Deletes of unknown outcome that were used.
    var deletes: Int
  }

  private static let unread = -1

  private let register: RegisterHistory
  private var uninvokedReads: [Int]
  private var invokedDeletes = 0
  private var slotOf: [Int]
  private var openSlots: [(slot: Int, operation: Int)] = []
  private var freeSlots: [Int] = []
  private var candidates: [Candidate]
  private var steps = 0
  private let stepLimit: Int

  private init(_ register: RegisterHistory, stepLimit: Int) {
    self.register = register
    self.stepLimit = stepLimit
    uninvokedReads = register.reads
    slotOf = Array(repeating: -1, count: register.operations.count)
    candidates = []
  }

  /// `stepLimit`: how many configurations to look at before giving up.
  static func run(_ register: RegisterHistory, stepLimit: Int) -> Result {
    var search = RegisterSearch(register, stepLimit: stepLimit)
    return search.run()
  }

  private struct Event {
    var time: Int64
    var isReturn: Bool
    /// A place among the operations, or -1: an unknown delete is invoked.
    var operation: Int
  }

  private mutating func run() -> Result {
    let events = sortedEvents()
    var (open, widest) = (0, 0)
    for event in events where event.operation >= 0 {
      open += event.isReturn ? -1 : 1
      widest = max(widest, open)
    }
    freeSlots = Array((0..<widest).reversed())
    let none = Configuration(state: 0, done: Array(repeating: 0, count: (widest + 63) / 64))
    candidates = [Candidate(configuration: none, deletes: 0)]
    for event in events {
      if event.operation < 0 {
        invokedDeletes += 1
      } else if !event.isReturn {
        invoke(event.operation)
      } else {
        guard complete(event.operation) else { return .limit }
        if candidates.isEmpty { return .stuck(operation: event.operation) }
      }
    }
    return .linearizable
  }

  /// What happens at the same time overlaps: invocations come before returns.
  private func sortedEvents() -> [Event] {
    var events: [Event] = register.unknownDeletes.map {
      Event(time: $0, isReturn: false, operation: -1)
    }
    events.reserveCapacity(2 * register.operations.count + events.count)
    for (place, operation) in register.operations.enumerated() {
      events.append(Event(time: operation.invoked, isReturn: false, operation: place))
      if !operation.isOptional {
        events.append(Event(time: operation.returned, isReturn: true, operation: place))
      }
    }
    return events.sorted {
      ($0.time, $0.isReturn ? 1 : 0, $0.operation) < ($1.time, $1.isReturn ? 1 : 0, $1.operation)
    }
  }

  private mutating func invoke(_ place: Int) {
    let operation = register.operations[place]
    let slot = freeSlots.removeLast()
    slotOf[place] = slot
    openSlots.append((slot, place))
    guard !operation.isWrite else { return }
    uninvokedReads[operation.value] -= 1
    for index in candidates.indices
    where candidates[index].configuration.state == operation.value {
      candidates[index].configuration.set(slot)
    }
  }

  /// Keeps the configurations in which the operation can have been linearized by now.
  /// False: the step limit was reached.
  private mutating func complete(_ place: Int) -> Bool {
    let slot = slotOf[place]
    if !candidates.allSatisfy({ $0.configuration.has(slot) }) {
      guard linearize(place, slot) else { return false }
    }
    for index in candidates.indices { candidates[index].configuration.clear(slot) }
    openSlots.removeAll { $0.slot == slot }
    freeSlots.append(slot)
    return true
  }

  private mutating func linearize(_ place: Int, _ slot: Int) -> Bool {
    var seen: [Configuration: Int] = [:]  // place in `found`
    var found = candidates
    for (index, candidate) in found.enumerated() { seen[candidate.configuration] = index }
    var work = Array(found.indices)
    while let index = work.popLast() {
      let candidate = found[index]
      if candidate.configuration.has(slot) || isHopeless(candidate.configuration, place) {
        continue
      }
      for next in successors(of: candidate) {
        steps += 1
        if steps > stepLimit { return false }
        if let known = seen[next.configuration] {
          guard next.deletes < found[known].deletes else { continue }
          found[known].deletes = next.deletes
          work.append(known)
        } else {
          seen[next.configuration] = found.count
          work.append(found.count)
          found.append(next)
        }
      }
    }
    candidates = found.filter { $0.configuration.has(slot) }
    return true
  }

  /// A read of a value whose one write is over cannot be linearized any more.
  private func isHopeless(_ configuration: Configuration, _ place: Int) -> Bool {
    let operation = register.operations[place]
    guard !operation.isWrite, register.isWrittenOnce(operation.value) else { return false }
    return !openSlots.contains {
      register.operations[$0.operation].isWrite
        && register.operations[$0.operation].value == operation.value && !configuration.has($0.slot)
    }
  }

  private func successors(of candidate: Candidate) -> [Candidate] {
    let state = candidate.configuration.state
    if state != Self.unread, register.isWrittenOnce(state), uninvokedReads[state] > 0 { return [] }
    var successors: [Candidate] = []
    for (slot, place) in openSlots {
      let operation = register.operations[place]
      guard operation.isWrite, !candidate.configuration.has(slot) else { continue }
      let next = entering(operation.value, candidate.configuration)
      successors.append(Candidate(configuration: next, deletes: candidate.deletes))
      successors[successors.count - 1].configuration.set(slot)
    }
    if candidate.deletes < invokedDeletes && state != 0 {
      successors.append(
        Candidate(
          configuration: entering(0, candidate.configuration), deletes: candidate.deletes + 1))
    }
    return successors
  }

  /// The register takes a value: open writes that nobody reads go just before, reads just after.
  private func entering(_ value: Int, _ configuration: Configuration) -> Configuration {
    var next = configuration
    next.state = register.reads[value] == 0 ? Self.unread : value
    for (slot, place) in openSlots {
      let operation = register.operations[place]
      if operation.isWrite ? register.reads[operation.value] == 0 : operation.value == value {
        next.set(slot)
      }
    }
    return next
  }
}
