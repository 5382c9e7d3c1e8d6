/// Ordered rows of bytes that survive the process: what an engine on a disk is to the server's
/// state. Changes gather until their owner makes them durable, all together or not at all; nobody
/// may be told of what is not durable yet.
public protocol RowStore: AnyObject {
  /// Sets the value of a key. The bytes are valid during the call only.
  func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer)
  /// Removes a key, if it is there.
  func remove(_ key: UnsafeRawBufferPointer)
  /// Removes all keys from `first` up to `end`, which is not removed itself.
  func removeRange(_ first: UnsafeRawBufferPointer, _ end: UnsafeRawBufferPointer)
}
