internal import BinaryCoding
internal import Paxos

/// What a node writes to its log.
enum NodeRecord: BinaryCodable, Equatable {
  case vote(LogRecord)
  /// The database had made so many changes, all of them durable. If it has fewer at the next start,
  /// some are lost, whatever it says itself.
  case witness(sequence: UInt64)

  func encode(to writer: inout ByteWriter) {
    switch self {
    case .vote(let record):
      writer.byte(1)
      record.encode(to: &writer)
    case .witness(let sequence):
      writer.byte(2)
      writer.number(sequence)
    }
  }

  init(from reader: inout ByteReader) throws(MalformedBytes) {
    switch try reader.byte() {
    case 1: self = .vote(try LogRecord(from: &reader))
    case 2: self = .witness(sequence: try reader.number())
    default: throw MalformedBytes(expected: "a record of a node")
    }
  }
}
