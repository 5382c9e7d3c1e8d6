import StoreState

@testable import Paxos

/// A cell of replicas whose messages and syncs a test lets happen one by one.
final class ScriptedCell {
  struct Sent: Equatable {
    var from: Int
    var to: Int
    var message: Message
  }

  let cell: Cell
  var replicas: [Replica]
  var logs: [[LogRecord]]
  /// Sent, and not yet delivered or lost.
  var sent: [Sent] = []
  var outcomes: [UInt64: Outcome] = [:]
  var learned: [Int: [UInt64: Value]] = [:]
  var diverged: [Int] = []
  /// Nodes whose disks answer at once.
  var syncsAtOnce: Set<Int>
  var now: UInt64 = 1_000
  private var requests: UInt64 = 0
  private var incarnations: UInt64 = 0
  private let change: (inout ReplicaConfiguration) -> Void

  static let object = ObjectID("g")

  init(
    _ count: Int, _ quorums: QuorumSystem = .majority,
    _ change: @escaping (inout ReplicaConfiguration) -> Void = { _ in }
  ) throws {
    cell = try Cell((0..<count).map { Member(NodeID(UInt16($0))) }, quorums)
    self.change = change
    replicas = []
    logs = Array(repeating: [], count: count)
    syncsAtOnce = Set(0..<count)
    for node in 0..<count { replicas.append(try make(node, DurableState())) }
  }

  private func make(_ node: Int, _ durable: DurableState) throws -> Replica {
    incarnations += 1
    var configuration = ReplicaConfiguration(cell: cell, node: NodeID(UInt16(node)))
    change(&configuration)
    return try Replica(
      configuration, incarnation: incarnations, randomSeed: incarnations, from: durable, now: now)
  }

  /// Starts a replica again, from its log or without.
  func restart(_ node: Int, losingDisk: Bool = false) throws {
    var durable = DurableState()
    if losingDisk { logs[node] = [] }
    durable.records = logs[node]
    durable.hasLostVotes = losingDisk
    replicas[node] = try make(node, durable)
  }

  func put(_ node: Int, _ key: String, _ value: String, stamp: SessionStamp? = nil) -> UInt64 {
    change(node, .transaction(.put(Array(key.utf8), Array(value.utf8))), stamp: stamp)
  }

  func change(_ node: Int, _ action: Command.Action, stamp: SessionStamp? = nil) -> UInt64 {
    requests += 1
    let request = RequestID(requests)
    step(node) {
      $0.propose(request, Self.object, Command(action, stamp: stamp), now: $1)
    }
    return requests
  }

  func get(_ node: Int, _ mode: ReadMode = .linearizable) -> UInt64 {
    requests += 1
    let request = RequestID(requests)
    step(node) { $0.read(request, Self.object, .range(.all, limit: nil), mode, now: $1) }
    return requests
  }

  /// What a read was answered: the values in the order of their keys; nil: no answer yet.
  func values(_ request: UInt64) -> [String]? {
    guard case .answer(.range(let pairs, _, _), _) = outcomes[request] else { return nil }
    return pairs.map { String(decoding: $0.value, as: UTF8.self) }
  }

  func advance(_ node: Int, by nanoseconds: UInt64) {
    now += nanoseconds
    step(node) { $0.advance(to: $1) }
  }

  func sync(_ node: Int) { step(node) { $0.synced(through: $0.position, now: $1) } }

  /// Delivers what was sent between these nodes, and what follows from it.
  func run(_ nodes: Set<Int>? = nil) {
    while let index = sent.firstIndex(where: {
      nodes?.isSuperset(of: [$0.from, $0.to]) ?? true
    }) {
      deliver(at: index)
    }
  }

  /// Delivers the first message for which the condition holds; false: there is none.
  @discardableResult
  func deliver(_ condition: (Sent) -> Bool) -> Bool {
    guard let index = sent.firstIndex(where: condition) else { return false }
    deliver(at: index)
    return true
  }

  func lose(_ condition: (Sent) -> Bool = { _ in true }) { sent.removeAll(where: condition) }

  private func deliver(at index: Int) {
    let next = sent.remove(at: index)
    step(next.to) { $0.receive(next.message, from: NodeID(UInt16(next.from)), now: $1) }
  }

  func step(_ node: Int, _ event: (inout Replica, UInt64) -> [ReplicaEffect]) {
    now += 1
    var effects = event(&replicas[node], now)
    var isWriting = true
    while isWriting {
      isWriting = false
      for effect in effects {
        switch effect {
        case .append(let record, _):
          logs[node].append(record)
          isWriting = true
        case .send(let message, let to):
          sent.append(Sent(from: node, to: Int(to.rawValue), message: message))
        case .reply(let request, let outcome): outcomes[request.rawValue] = outcome
        case .learned(_, let entry, let value): learned[node, default: [:]][entry] = value
        case .diverged: diverged.append(node)
        case .installed: break
        }
      }
      guard isWriting, syncsAtOnce.contains(node) else { return }
      effects = replicas[node].synced(through: replicas[node].position, now: now)
    }
  }

  /// The kind of a message, to count and to pick by.
  static func kind(_ message: Message) -> String {
    String(describing: message.body).prefix { $0 != "(" }.description
  }
}
