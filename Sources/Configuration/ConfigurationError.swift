/// One thing that is wrong in a configuration file.
public struct ConfigurationProblem: Sendable, Equatable, CustomStringConvertible {
  /// What it is.
  public enum Kind: Sendable, Equatable {
    /// The file cannot be read at all.
    case unreadable(reason: String)
    /// It is not TOML.
    case syntax(reason: String)
    /// The value at a key path (`server[2].mac`, counted from 0) is of the wrong kind or range.
    case wrongValue(path: String, found: String, expected: String)
    /// A key that must be there is not.
    case missing(path: String, expected: String)
    /// A key that means nothing; `nearest` is a known one that is spelled much like it.
    case unknownKey(path: String, nearest: String?, known: [String])
  }

  public var kind: Kind
  /// Of the value, the unknown key, or the table where something is missing; nil: of the whole file.
  public var place: TextPlace?

  public init(_ kind: Kind, at place: TextPlace? = nil) {
    self.kind = kind
    self.place = place
  }

  /// What is wrong, without the place in the file.
  public var description: String {
    let text =
      switch kind {
      case .unreadable(let reason):
        "cannot be read: \(reason)"
      case .syntax(let reason):
        reason
      case .wrongValue(let path, let found, let expected):
        "\(path): found \(found), expected \(expected)"
      case .missing(let path, let expected):
        "\(path): is missing, expected \(expected)"
      case .unknownKey(let path, let nearest?, _):
        "\(path): unknown key; did you mean `\(nearest)`?"
      case .unknownKey(let path, nil, let known):
        "\(path): unknown key; known here: \(known.joined(separator: ", "))"
      }
    return printable(text)
  }
}

/// Everything that is wrong in one configuration file, at once.
public struct ConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The file, as the user named it.
  public var file: String
  /// In the order of their places; never empty.
  public var problems: [ConfigurationProblem]

  public init(file: String, problems: [ConfigurationProblem]) {
    self.file = file
    self.problems = problems
  }

  init(file: String, syntax reason: String, at place: TextPlace) {
    self.init(file: file, problems: [ConfigurationProblem(.syntax(reason: reason), at: place)])
  }

  init(file: String, unreadable reason: String) {
    self.init(file: file, problems: [ConfigurationProblem(.unreadable(reason: reason))])
  }

  /// One line for each problem, as compilers write them: file, line, column, what was found, what was
  /// expected.
  public var description: String {
    problems.map { problem in
      let place = problem.place.map { ":\($0.line):\($0.column)" } ?? ""
      return "\(file)\(place): \(problem)"
    }.joined(separator: "\n")
  }
}

/// What comes out of a file, on one line, and without a meaning for terminals.
private func printable(_ text: String) -> String {
  guard text.unicodeScalars.contains(where: isControl) else { return text }
  return text.unicodeScalars.reduce(into: "") { result, scalar in
    if isControl(scalar) {
      result += "\\u{\(String(scalar.value, radix: 16))}"
    } else {
      result.unicodeScalars.append(scalar)
    }
  }
}

private func isControl(_ scalar: Unicode.Scalar) -> Bool {
  scalar.properties.generalCategory == .control || scalar.properties.generalCategory == .format
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
