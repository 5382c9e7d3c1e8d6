/// What an engine stores of one key.
public struct StoredRecord {
  /// What kind of version it is.
  public enum Kind: UInt8, Sendable {
    /// A value.
    case value = 0
    /// The key was deleted by this version.
    case tombstone = 1
    /// The newest value was lost with its only holder; the key awaits a write or a copy.
    case lost = 2
  }

  public var keyHash: UInt64
  public var version: UInt64
  /// The generation stamped on what stored it.
  public var generation: UInt64
  public var kind: Kind
  /// The bytes of the key; valid until the engine is next changed.
  public var key: UnsafeRawBufferPointer
  /// The bytes of the value, empty unless `kind` is `value`; valid until the engine is next changed.
  public var value: UnsafeRawBufferPointer
}

/// What is to be stored of a key, beside key and value.
public struct RecordAttributes: Sendable {
  public var version: UInt64
  /// The generation stamped on what stores it.
  public var generation: UInt64
  public var kind: StoredRecord.Kind
  /// It may be forgotten by FLOOR: it is a tombstone, or a copy of another server's key.
  public var isForgettable: Bool

  public init(
    version: UInt64, generation: UInt64, kind: StoredRecord.Kind, isForgettable: Bool
  ) {
    self.version = version
    self.generation = generation
    self.kind = kind
    self.isForgettable = isForgettable
  }
}

/// A versioned table of keys: the one interface between the server's protocol and where its data
/// is. It decides nothing: which version wins is the protocol's business (`ServerCore`).
///
/// Engines are not thread-safe; one packet loop owns one engine. Pointers into an engine are
/// valid until its next change.
public protocol StorageEngine: AnyObject {
  /// Keys with a value; tombstones and lost keys do not count.
  var valueCount: Int { get }
  /// What is stored of a key; nil: nothing. `keyHash` is the hash of `key`.
  func find(_ key: UnsafeRawBufferPointer, keyHash: UInt64) -> StoredRecord?
  /// Stores a version of a key in place of what there was.
  /// `value` must not point into the engine; at most `WireLimits.bodyLengthMax` with the key.
  func store(
    _ key: UnsafeRawBufferPointer, keyHash: UInt64, value: UnsafeRawBufferPointer,
    _ attributes: RecordAttributes)
  /// Changes everything but the value of a key that is stored; turns a value into another kind
  /// by dropping it. Does nothing if the key is not stored.
  func update(
    _ key: UnsafeRawBufferPointer, keyHash: UInt64, _ attributes: RecordAttributes)
  /// Removes a key, if it is stored.
  func remove(_ key: UnsafeRawBufferPointer, keyHash: UInt64)
  /// Removes the forgettable records that `shouldForget` names. Costs as much as there are
  /// forgettable records. `shouldForget` must not change the engine.
  func forget(where shouldForget: (StoredRecord) -> Bool)
  /// Looks at every record, in no particular order, and keeps it, removes it, or changes whether
  /// it is forgettable. `decide` must not change the engine. For rare events: costs as much as
  /// there are records.
  func review(_ decide: (StoredRecord) -> RecordReview)
  /// Begins to look at all records little by little; ends such a pass that is under way.
  func beginScan()
  /// Goes on with the pass: looks at about `effort` places and gives `body` the records in them, or
  /// fewer if `body` returns false. What is stored all the time of the pass and not changed is given
  /// at least once, in no particular order. True: the pass is over. `body` must not change the engine.
  func scan(effort: Int, _ body: (StoredRecord) -> Bool) -> Bool
}

/// What becomes of a record in `StorageEngine.review`.
public enum RecordReview: Sendable {
  case keep(isForgettable: Bool)
  case remove
}
