import Configuration
import Testing

/// That `error` is one problem, which says this, and is told with the place where it is in the text.
func expectOneProblem(_ error: ConfigurationError, in text: String, says message: String) throws {
  #expect(error.problems.count == 1, "\(error)")
  let problem = error.problems[0]
  #expect(problem.description.hasPrefix(message), "\(problem)")
  guard let place = problem.place else {
    #expect(error.description == "bad.toml: \(problem)")
    return
  }
  #expect(error.description == "bad.toml:\(place.line):\(place.column): \(problem)")
  let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
  let line = try #require(place.line <= lines.count ? lines[place.line - 1] : nil, "\(error)")
  let rest = line.dropFirst(place.column - 1)
  switch problem.kind {
  case .wrongValue(_, let found, _):
    #expect(rest.hasPrefix(found) || rest.hasPrefix("["), "\(rest) is not \(found)")
  case .unknownKey(let path, _, _):
    let name = path.split(separator: ".").last ?? ""
    #expect(rest.hasPrefix(name) || rest.hasPrefix("[\(name)"), "\(rest) is not \(path)")
  case .missing(let path, _):
    // Where it should be.
    let table = path.prefix { $0 != "." && $0 != "[" }
    #expect(rest.hasPrefix("[\(table)]") || rest.hasPrefix("[[\(table)]]"), "\(rest): \(path)")
  case .unreadable, .syntax: Issue.record("\(problem)")
  }
}
