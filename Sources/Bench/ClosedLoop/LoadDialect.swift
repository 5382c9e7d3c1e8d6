internal import Workload

/// What a request of a closed load asks for.
public enum LoadOperation: String, Sendable, Codable, CaseIterable {
  case get
  case set
}

/// A request of a closed load.
package struct ClosedRequest {
  /// Counts the requests of its lane from 1; 0: no request.
  var number: UInt64
  var operation: LoadOperation
  /// Its key: a place in `LoadMaterial`.
  var key: Int
  /// When it was handed to the kernel, or just before.
  var sentAt: UInt64

  package init(
    number: UInt64 = 0, operation: LoadOperation = .get, key: Int = 0, sentAt: UInt64 = 0
  ) {
    self.number = number
    self.operation = operation
    self.key = key
    self.sentAt = sentAt
  }
}

/// A protocol over UDP as a closed load speaks it. One client is one *lane*: a socket with its
/// window of requests under way.
protocol LoadDialect {
  associatedtype Reply
  /// The bits of a request's number that its reply repeats; at least the lower 16.
  static var numberMask: UInt64 { get }
  /// Writes a request into `room`, returns its length. `oldest`: the number of the oldest request
  /// of this lane that is not answered.
  mutating func encode(
    _ request: ClosedRequest, lane: Int, oldest: UInt64, into room: UnsafeMutableRawBufferPointer
  ) -> Int
  /// Nil: not a reply of this protocol.
  mutating func decode(_ datagram: UnsafeRawBufferPointer) -> Reply?
  func number(of reply: Reply) -> UInt64
  /// Whether it is the answer that the request asks for: the stored value, or that it is stored.
  func isRight(
    _ reply: Reply, _ datagram: UnsafeRawBufferPointer, to request: ClosedRequest
  ) -> Bool
}

/// The keys and the value that a load sends, made beforehand.
package final class LoadMaterial {
  package let count: Int
  let keyLength: Int
  /// One for all keys.
  let value: UnsafeRawBufferPointer
  private let keys: UnsafeMutableRawPointer

  /// `count` keys as in "k00000042", with as many digits as make `keyLength` bytes.
  package init(count: Int, keyLength: Int, valueLength: Int) {
    let space = KeySpace(count: count, digits: keyLength - 1, seed: 1)
    self.count = count
    self.keyLength = space.keyLength
    keys = .allocate(byteCount: count * space.keyLength, alignment: 16)
    for index in 0..<count {
      space.writeKey(
        ofRank: index,
        into: UnsafeMutableRawBufferPointer(
          start: keys + index * space.keyLength, count: space.keyLength))
    }
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: valueLength, alignment: 16)
    for index in 0..<valueLength { bytes[index] = UInt8(ascii: "a") + UInt8(index % 26) }
    value = UnsafeRawBufferPointer(bytes)
  }

  deinit {
    keys.deallocate()
    value.deallocate()
  }

  subscript(key: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: keys + key * keyLength, count: keyLength)
  }
}
