import Sockets

/// Runs `body`, which blocks, on a thread of its own: those of Swift's tasks are few.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value
{
  try await withCheckedThrowingContinuation { continuation in
    do {
      _ = try BackgroundThread(name: "load") { continuation.resume(with: Result { try body() }) }
    } catch {
      continuation.resume(throwing: error)
    }
  }
}
