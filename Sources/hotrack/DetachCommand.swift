import ArgumentParser
import DataPlane

/// `hotrack detach`: takes away a data plane that no controller runs.
struct DetachCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "detach",
    abstract: "Take a rack's data plane off its interfaces and forget its directory.",
    discussion: """
      For a rack whose controller was stopped and will not be started again. The rack takes no \
      requests from then on, and its servers have to be restarted before another controller can \
      admit them. Refused while a controller runs.

      Exit codes: 0 it is away, 1 there is none, or it cannot be taken away.
      """)

  @Argument(help: "The rack's name, as in its rack file. Default: the only one there is.")
  var rack: String?

  func run() throws {
    try reportingFailure("detach") {
      let racks = PinDirectory.racks()
      let known = racks.isEmpty ? "there is none" : "there are: \(racks.joined(separator: ", "))"
      guard let name = rack ?? (racks.count == 1 ? racks[0] : nil) else {
        throw ValidationError("name the rack whose data plane is meant; \(known)")
      }
      guard racks.contains(name) else { throw DetachError(rack: name, known: known) }
      try PinDirectory(rack: name).remove()
      print("the data plane of rack \(name) is away")
    }
  }
}

private struct DetachError: Error, CustomStringConvertible {
  let rack: String
  let known: String
  var description: String { "there is no data plane of a rack \(rack); \(known)" }
}
