internal import ClientCore
internal import Sockets
internal import Synchronization

/// A request on its way from a task to the client's thread and back. It ends once, whoever is
/// first: the core with an outcome, the task's cancellation, or the client's end.
final class PendingRequest: Sendable {
  typealias Ending = Result<ClientOutcome, HotrackError>
  private typealias Continuation = CheckedContinuation<Ending, Never>

  private enum Phase {
    case created
    /// In the mailbox: it has had no effect.
    case queued(Continuation)
    /// Handed over to the core: a write may take effect.
    case begun(Continuation)
    case ended
  }

  let request: ClientRequest
  private let phase = Mutex(Phase.created)

  init(_ request: ClientRequest) { self.request = request }

  /// Hands it over, and waits for its end.
  func result(through mailbox: Mailbox) async -> Ending {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        // The task may be cancelled already.
        if enqueue(continuation) {
          mailbox.post(self)
        } else {
          continuation.resume(returning: .failure(.cancelled))
        }
      }
    } onCancel: {
      abandon(.cancelled, unknown: .cancelled)
    }
  }

  private func enqueue(_ continuation: Continuation) -> Bool {
    phase.withLock { phase in
      guard case .created = phase else { return false }
      phase = .queued(continuation)
      return true
    }
  }

  /// Marks it as handed over. False: it has ended, and is not to be sent.
  func begin() -> Bool {
    phase.withLock { phase in
      guard case .queued(let continuation) = phase else { return false }
      phase = .begun(continuation)
      return true
    }
  }

  /// Ends it; nothing if it has ended.
  func end(_ ending: Ending) { end { _ in ending } }

  /// Ends it without an outcome: a write that was handed over as unknown, all else with `error`.
  func abandon(_ error: HotrackError, unknown reason: HotrackError.UnknownReason) {
    end { begun in .failure(begun && self.isWrite ? .unknownOutcome(reason) : error) }
  }

  private func end(_ ending: (_ begun: Bool) -> Ending) {
    let last = phase.withLock { phase in
      defer { phase = .ended }
      return phase
    }
    switch last {
    case .created, .ended: break
    case .queued(let continuation): continuation.resume(returning: ending(false))
    case .begun(let continuation): continuation.resume(returning: ending(true))
    }
  }

  private var isWrite: Bool {
    switch request {
    case .get: false
    case .set, .delete: true
    }
  }
}

/// Where tasks leave requests for the client's thread.
final class Mailbox: Sendable {
  private struct Contents {
    var requests: [PendingRequest] = []
    var end: End?
  }

  /// Why nothing is taken any more.
  enum End: Sendable {
    case closed
    case failed(SocketError)

    func apply(to request: PendingRequest) {
      switch self {
      case .closed: request.abandon(.closed, unknown: .closed)
      case .failed(let error): request.abandon(.socket(error), unknown: .socket(error))
      }
    }
  }

  private let contents = Mutex(Contents())
  let wakeUp: WakeUp

  init() throws(SocketError) { wakeUp = try WakeUp() }

  /// Leaves a request; ends it at once if nothing is taken any more.
  func post(_ request: PendingRequest) {
    let (end, isFirst) = contents.withLock { contents -> (End?, Bool) in
      if let end = contents.end { return (end, false) }
      contents.requests.append(request)
      return (nil, contents.requests.count == 1)
    }
    end?.apply(to: request)
    // The thread takes everything at once: further signals would be for nothing.
    if isFirst { wakeUp.signal() }
  }

  func close() { end(.closed) }

  /// From now on nothing is taken. The first reason stays.
  func end(_ end: End) {
    contents.withLock { $0.end = $0.end ?? end }
    wakeUp.signal()
  }

  /// Everything left since the last time, and whether that was the end.
  func take() -> (requests: [PendingRequest], end: End?) {
    contents.withLock { contents in
      defer { contents.requests = [] }
      return (contents.requests, contents.end)
    }
  }
}
