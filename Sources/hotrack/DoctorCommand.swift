import ArgumentParser
import Configuration
import Doctor
import Foundation

/// `hotrack doctor`: what keeps packets from flowing.
struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Find what keeps a rack's packets from flowing, and say what to type.",
    discussion: """
      Looks at the host (kernel, rights, BPF file system, clock), at interfaces (driver and mode, \
      the other end of a veth, other XDP programs, MTU, offloads, rp_filter) and, with a rack file, \
      at what it says of this host (address, ports, state file, routes, neighbours). One line for \
      each: ok, or why not and what to do. Nothing is changed; neighbours that the kernel does not \
      know are asked for. Run it in the directory's network namespace, before `hotrack attach` or \
      when something is wrong; also while the rack runs.

      --json prints one object: `ok`, and `findings[]` with `check` (a stable name), `subject`, \
      `verdict` (ok, warning or bad), `text` and `fix`.

      Exit codes: 0 nothing is bad (there may be warnings), 1 something is, 64 wrong usage.
      """)

  @Argument(help: "Interfaces. Default: those of the rack file.")
  var interfaces: [String] = []

  @Option(help: ArgumentHelp("The rack file.", valueName: "file"))
  var config: String?

  @Flag(help: "Print one JSON object.")
  var json = false

  func run() throws {
    var rack: RackFile?
    if let config {
      do throws(ConfigurationError) {
        rack = try RackFile(file: config)
      } catch {
        for line in error.description.split(separator: "\n") {
          standardError("hotrack doctor: \(line)")
        }
        throw ExitCode(1)
      }
    }
    let findings = Doctor.findings(
      interfaces: interfaces.isEmpty ? rack?.interfaces ?? [] : interfaces, rack: rack)
    let isWell = !findings.contains { $0.verdict == .bad }
    if json {
      try printJSON(Report(ok: isWell, findings: findings))
    } else {
      for finding in findings { print(Self.text(finding)) }
    }
    if !isWell { throw ExitCode(1) }
  }

  private struct Report: Encodable {
    var ok: Bool
    var findings: [Finding]
  }

  private static func text(_ finding: Finding) -> String {
    let mark =
      switch finding.verdict {
      case .ok: "ok      "
      case .warning: "warning "
      case .bad: "BAD     "
      }
    let name = finding.check.replacing("_", with: " ")
    let subject = finding.subject.map { " \($0)" } ?? ""
    let fix = finding.fix.map { "\n          → \($0)" } ?? ""
    return "\(mark)\(name)\(subject): \(finding.text)\(fix)"
  }
}
