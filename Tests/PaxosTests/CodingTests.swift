import BinaryCoding
import StoreState
import Testing

@testable import Paxos

@Suite struct CodingTests {
  static let proposer = Proposer(node: NodeID(3), incarnation: 0xdead_beef_0000_0001)
  static let ballot = Ballot(round: 5, zone: 2, proposer: proposer)
  static let value = Value(
    id: ValueID(proposer: proposer, number: 17), next: proposer,
    commands: [Command(.transaction(.put([1], [2])))])
  static let vote = Vote(ballot: ballot, value: value)

  static var snapshot: ObjectSnapshot {
    var snapshot = ObjectSnapshot(GroupLimits())
    _ = snapshot.state.apply(value.commands[0], entry: 1)
    snapshot.chosen = 1
    snapshot.chosenID = value.id
    snapshot.next = proposer
    snapshot.suffix = [value]
    return snapshot
  }

  @Test func messagesComeBack() throws {
    let attempt = Attempt(proposer: Self.proposer, number: 4)
    let accepted = ObjectStatus.AcceptedID(ballot: Self.ballot, value: Self.value.id)
    let bodies: [Message.Body] = [
      .prepare(entry: 2, Self.ballot, previous: nil),
      .prepare(entry: 2, Self.ballot, previous: Self.value.id),
      .promise(entry: 2, Self.ballot, accepted: Self.vote),
      .promise(entry: 2, Self.ballot, accepted: nil),
      .accept(entry: 2, Self.vote, previous: Self.value.id),
      .accepted(entry: 2, Self.ballot),
      .refused(entry: 2, Self.ballot, promised: Self.ballot),
      .chosen(entry: 2, Self.value.id, digest: nil), .chosen(entry: 2, Self.value.id, digest: 1),
      .fetch(from: 1), .entries(first: 1, [Self.value, Self.value]), .snapshot(Self.snapshot),
      .query(attempt),
      .status(
        attempt, ObjectStatus(chosen: 1, hasPromised: true, accepted: accepted, isVoting: false)),
      .status(
        attempt, ObjectStatus(chosen: 0, hasPromised: false, accepted: nil, isVoting: true)),
      .renounce, .renounced(life: .max), .list(attempt, from: 7),
      .names(attempt, of: 9, from: 7, [ObjectID("a"), ObjectID("")], count: 9),
    ]
    for body in bodies {
      var message = Message(ObjectID("group"), body)
      #expect(try Message(decoding: message.encoded) == message)
      message.life = .max
      #expect(try Message(decoding: message.encoded) == message)
    }
  }

  @Test func recordsAndImagesComeBack() throws {
    let bodies: [LogRecord.Body] = [
      .promised(entry: 1, Self.ballot), .accepted(entry: 1, Self.vote),
      .chosen(entry: 1, Self.value.id, value: nil),
      .chosen(entry: 1, Self.value.id, value: Self.value), .installed(Self.snapshot), .floor(4),
    ]
    for body in bodies {
      let record = LogRecord(ObjectID(""), body)
      #expect(try LogRecord(decoding: record.encoded) == record)
    }
    var image = ObjectImage(Self.snapshot, floor: 3)
    #expect(try ObjectImage(decoding: image.encoded) == image)
    image.promised = Self.ballot
    image.accepted = Self.vote
    image.floor = nil
    #expect(try ObjectImage(decoding: image.encoded) == image)
  }

  @Test func refusesEntriesThatCannotBe() {
    for entry in [0, .max, .max - 1] as [UInt64] {
      var writer = ByteWriter()
      ObjectID("a").encode(to: &writer)
      writer.byte(4)
      writer.number(entry)
      Self.ballot.encode(to: &writer)
      #expect(throws: MalformedBytes.self) { try Message(decoding: writer.bytes) }
    }
    var late = Self.snapshot
    late.chosen = .max
    #expect(throws: MalformedBytes.self) { try ObjectSnapshot(decoding: late.encoded) }
  }
}
