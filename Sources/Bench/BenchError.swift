public import Sockets

/// Why something could not be measured.
public enum BenchError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The load and what is measured each need a processor of their own.
  case tooFewProcessors(Int)
  case missingTool(String, package: String)
  case notStarted(String, reason: String)
  /// A process under measurement has ended.
  case ended(String, said: String)
  /// It does not answer.
  case silent(String, Endpoint)
  /// More than one request in a thousand had a wrong answer or none.
  case wrongAnswers(String, operation: String, refused: Int, lost: Int, completed: Int)
  case socket(SocketError)

  public var description: String {
    switch self {
    case .tooFewProcessors(let count):
      "this needs 2 processors, one for the load and one for what is measured; "
        + "this process may use \(count) (see taskset)"
    case .missingTool(let tool, let package):
      "\(tool) is not installed; install it with: apt-get install \(package)"
    case .notStarted(let system, let reason): "cannot start \(system): \(reason)"
    case .ended(let system, let said):
      "\(system) has ended before its measurement did: \(said.isEmpty ? "it said nothing" : said)"
    case .silent(let system, let endpoint):
      "\(system) does not answer at \(endpoint); is a firewall between?"
    case .wrongAnswers(let system, let operation, let refused, let lost, let completed):
      "\(system), \(operation): \(refused) wrong answers and \(lost) lost requests beside "
        + "\(completed) right ones; a measurement may have 1 in 1,000: repeat it with a smaller --window"
    case .socket(let error): "\(error)"
    }
  }
}

/// Runs `body`; what the sockets throw becomes a `BenchError`.
func onSockets<Value>(_ body: () throws(SocketError) -> Value) throws(BenchError) -> Value {
  do throws(SocketError) { return try body() } catch { throw .socket(error) }
}
