internal import CBPF
internal import CHotrack
internal import Glibc
internal import Synchronization
public import Wire

/// One sampled packet.
public struct SampleRecord: Sendable, Equatable {
  /// Why the data plane tells of it.
  public enum Kind: UInt8, Sendable {
    /// One of so many requests.
    case request = 0
    /// A server answered `other key`: two keys share this hash, and one of them is hot.
    case collision = 1
    /// Requests were dropped because of the rate limit; the key is the client's address (16 bytes, IPv4 as
    /// IPv4-mapped IPv6), the weight how many.
    case refused = 2
  }

  /// Why it is told.
  public var kind: Kind
  /// The key hash of the packet.
  public var keyHash: UInt64
  /// What the packet asks for or answers.
  public var operation: Operation
  /// How many requests it stands for.
  public var weight: UInt32
  /// Empty if the packet had no key.
  public var key: [UInt8]

  /// A record with these fields.
  public init(
    kind: Kind, keyHash: UInt64, operation: Operation, weight: UInt32, key: [UInt8]
  ) {
    self.kind = kind
    self.keyHash = keyHash
    self.operation = operation
    self.weight = weight
    self.key = key
  }
}

/// The consumer's end of the program's sample ring. Drains are serialised.
final class SampleRing: @unchecked Sendable {
  private final class Sink {
    var body: ((SampleRecord) -> Void)?
  }

  private let ring: OpaquePointer
  private let sink: Sink
  private let lock = Mutex(())

  init(_ map: Int32) throws(DataPlaneError) {
    let sink = Sink()
    let ring = ring_buffer__new(
      map,
      { context, data, size in
        guard let context, let data, size >= MemoryLayout<plane_sample>.size else { return 0 }
        let sink = Unmanaged<Sink>.fromOpaque(context).takeUnretainedValue()
        if let record = SampleRecord(data) { sink.body?(record) }
        return 0
      }, Unmanaged.passUnretained(sink).toOpaque(), nil)
    guard let ring else { throw .from(code: errno, doing: "open the sample ring") }
    (self.ring, self.sink) = (ring, sink)
  }

  deinit { ring_buffer__free(ring) }

  func drain(_ body: (SampleRecord) -> Void) -> Int {
    lock.withLock { _ in
      withoutActuallyEscaping(body) { escaping in
        sink.body = escaping
        defer { sink.body = nil }
        return max(0, Int(ring_buffer__consume(ring)))
      }
    }
  }
}

extension SampleRecord {
  /// Nil: not a record that this version knows.
  init?(_ data: UnsafeMutableRawPointer) {
    let raw = data.assumingMemoryBound(to: plane_sample.self)
    guard let kind = Kind(rawValue: raw.pointee.kind),
      let operation = Operation(rawValue: raw.pointee.operation),
      Int(raw.pointee.key_length) <= WireLimits.keyLengthMax
    else { return nil }
    let key = withUnsafeBytes(of: &raw.pointee.key) {
      Array($0.prefix(Int(raw.pointee.key_length)))
    }
    self.init(
      kind: kind, keyHash: raw.pointee.key_hash, operation: operation,
      weight: raw.pointee.weight, key: key)
  }
}
