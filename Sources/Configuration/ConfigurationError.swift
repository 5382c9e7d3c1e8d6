/// One thing that is wrong in a configuration file.
public enum ConfigurationProblem: Sendable, Equatable, CustomStringConvertible {
  /// The file cannot be read at all.
  case unreadable(reason: String)
  /// It is not TOML; line and column count from 1.
  case syntax(line: Int, column: Int, reason: String)
  /// The value at a key path (`server[2].mac`, counted from 0) is of the wrong kind or range.
  case wrongValue(path: String, found: String, expected: String)
  /// A key that must be there is not.
  case missing(path: String, expected: String)
  /// A key that means nothing; `nearest` is a known one that is spelled much like it.
  case unknownKey(path: String, nearest: String?, known: [String])

  public var description: String {
    switch self {
    case .unreadable(let reason):
      "cannot be read: \(reason)"
    case .syntax(let line, let column, let reason):
      "line \(line), column \(column): \(reason)"
    case .wrongValue(let path, let found, let expected):
      "\(path): found \(found), expected \(expected)"
    case .missing(let path, let expected):
      "\(path): is missing, expected \(expected)"
    case .unknownKey(let path, let nearest?, _):
      "\(path): unknown key; did you mean `\(nearest)`?"
    case .unknownKey(let path, nil, let known):
      "\(path): unknown key; known here: \(known.joined(separator: ", "))"
    }
  }
}

/// Everything that is wrong in one configuration file, at once.
public struct ConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The file, as the user named it.
  public var file: String
  /// In the order of the checks; never empty.
  public var problems: [ConfigurationProblem]

  public init(file: String, problems: [ConfigurationProblem]) {
    self.file = file
    self.problems = problems
  }

  /// One line for each problem: file, place, what was found, what was expected.
  public var description: String {
    problems.map { problem in
      if case .syntax(let line, let column, let reason) = problem {
        return "\(file):\(line):\(column): \(reason)"
      }
      return "\(file): \(problem)"
    }.joined(separator: "\n")
  }
}

/// The known name that is spelled most like `name`, if one is near enough to be meant.
func nearestName(to name: String, among known: [String]) -> String? {
  let candidates = known.map { (name: $0, distance: editDistance(name, $0)) }
  guard let best = candidates.min(by: { $0.distance < $1.distance }),
    best.distance <= max(1, min(name.count, best.name.count) / 3)
  else { return nil }
  return best.name
}

/// Insertions, deletions and substitutions that lead from one to the other (Levenshtein).
private func editDistance(_ from: String, _ to: String) -> Int {
  let target = Array(to)
  var row = Array(0...target.count)
  for (index, character) in from.enumerated() {
    var diagonal = row[0]
    row[0] = index + 1
    for column in target.indices {
      let substituted = diagonal + (character == target[column] ? 0 : 1)
      diagonal = row[column + 1]
      row[column + 1] = min(substituted, row[column] + 1, row[column + 1] + 1)
    }
  }
  return row[target.count]
}
