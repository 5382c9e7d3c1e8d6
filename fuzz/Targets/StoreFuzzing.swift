internal import BinaryCoding
internal import Paxos
internal import StoreProtocol
internal import StoreState

/// What nodes and clients of a store say to each other, and what a node finds in its files.
enum StoreFuzzing {
  /// The first byte says what the rest is taken for.
  static func run(_ input: UnsafeRawBufferPointer) {
    guard let kind = input.first else { return }
    let bytes = Array(input.dropFirst())
    switch kind % 8 {
    case 0: isReadBack(Message.self, bytes)
    case 1: isReadBack(LogRecord.self, bytes)
    case 2: isReadBack(ObjectImage.self, bytes)
    case 3: isReadBack(StoreRequest.self, bytes)
    case 4: isReadBack(StoreReply.self, bytes)
    case 5: isReadBack(StoreGreeting.self, bytes)
    case 6: isReadBack(SnapshotRow.self, bytes)
    default: snapshot(bytes)
    }
  }

  /// What could be read is written, and read as itself. (Not byte by byte: a number has several forms.)
  private static func isReadBack<Value: BinaryCodable & Equatable>(_: Value.Type, _ bytes: [UInt8])
  {
    guard let value = try? Value(decoding: bytes) else { return }
    require((try? Value(decoding: value.encoded)) == value, "\(Value.self) is read back")
  }

  /// As it is, and as the contents of a file with right sums, of which one byte is then changed.
  private static func snapshot(_ bytes: [UInt8]) {
    _ = try? bytes.withUnsafeBytes { try SnapshotFile($0) }
    var writer = SnapshotWriter()
    var file: [UInt8] = []
    var place = 0
    bytes.withUnsafeBytes { bytes in
      var input = FuzzInput(bytes)
      file = writer.begin(SnapshotHeader(cell: UInt64(input.short()), node: 1))
      place = Int(input.short())
      while !input.isEmpty {
        let length = Int(input.byte())
        if let row = try? SnapshotRow(decoding: input.bytes(length)) { file += writer.row(row) }
      }
      file += writer.end()
    }
    let whole = try? file.withUnsafeBytes { try SnapshotFile($0) }
    require(whole?.sum == writer.sum && whole?.summary == writer.summary, "a snapshot is read back")
    file[place % file.count] ^= 1
    let changed = try? file.withUnsafeBytes { try SnapshotFile($0) }
    require(changed == nil, "a changed byte of a snapshot is noticed")
  }
}

/// A replica that is told anything by other members, and asked for anything by clients.
enum StoreReplicaFuzzing {
  static func run(_ bytes: UnsafeRawBufferPointer) {
    var input = FuzzInput(bytes)
    let members = (1...3 as ClosedRange<UInt16>).map { Member(NodeID($0)) }
    guard let cell = try? Cell(members) else { return require(false, "three members are a cell") }
    var configuration = ReplicaConfiguration(cell: cell, node: NodeID(1))
    configuration.suffixMax = 2
    var durable = DurableState()
    durable.hasLostVotes = input.byte() & 1 == 1
    guard
      var replica = try? Replica(configuration, incarnation: 9, randomSeed: 1, from: durable)
    else { return require(false, "a member is a replica") }
    var now: UInt64 = 1
    var requests: UInt64 = 0
    var waiting: Set<UInt64> = []
    while !input.isEmpty {
      let how = input.byte()
      let body = input.bytes(Int(input.byte()))
      let node = NodeID(UInt16(how >> 4 & 3))
      now += 1
      let effects: [ReplicaEffect]
      switch how & 15 {
      case 0...7:
        guard let message = try? Message(decoding: body) else { continue }
        effects = replica.receive(message, from: node, now: now)
      case 8...10:
        guard let command = try? Command(decoding: body) else { continue }
        requests += 1
        waiting.insert(requests)
        effects = replica.propose(RequestID(requests), ObjectID("g"), command, now: now)
      case 11, 12:
        guard
          case .read(let group, let query, let mode)? = (try? StoreRequest(decoding: body))?.body
        else { continue }
        requests += 1
        waiting.insert(requests)
        effects = replica.read(RequestID(requests), ObjectID(group), query, mode, now: now)
      case 13: effects = replica.synced(through: replica.position, now: now)
      default:
        now += UInt64(body.count) * 20_000_000
        effects = replica.advance(to: now)
      }
      for effect in effects { check(effect, &waiting) }
    }
  }

  private static func check(_ effect: ReplicaEffect, _ waiting: inout Set<UInt64>) {
    switch effect {
    case .append(let record, _):
      require((try? LogRecord(decoding: record.encoded)) == record, "a record can be read")
    case .send(let message, _):
      require((try? Message(decoding: message.encoded)) == message, "a message can be read")
    case .reply(let request, _):
      require(waiting.remove(request.rawValue) != nil, "a request ends once")
    default: break
    }
  }
}
