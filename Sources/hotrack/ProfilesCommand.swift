import ArgumentParser
import Foundation
import Wire
import Workload

/// `hotrack profiles`: the workloads that `hotrack load` knows by name.
struct ProfilesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "profiles",
    abstract: "List the workloads that `hotrack load --ycsb` and `--profile` know.",
    discussion: """
      YCSB: the core workloads of Cooper et al., Benchmarking cloud serving systems with YCSB, SoCC \
      2010. Twitter: published figures of 54 cache clusters (Yang, Yue and Rashmi, OSDI 2020; \
      github.com/twitter/cache-trace, CC BY 4.0). Notes say what is done otherwise.
      """)

  @Flag(help: "Print one JSON array.")
  var json = false

  func run() throws {
    var profiles = YCSBWorkload.allCases.map(\.profile)
    profiles += TwitterCluster.all.compactMap(\.profile)
    for index in profiles.indices {
      profiles[index].cut(
        keyLengthMax: WireLimits.keyLengthMax, bodyLengthMax: WireLimits.bodyLengthMax)
    }
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      let listed = profiles.map { WorkloadDescription(profile: $0, keys: nil) }
      print(String(decoding: try encoder.encode(listed), as: UTF8.self))
      return
    }
    print("name        alpha    key  value  operations")
    for profile in profiles {
      let alpha = profile.alpha.map { String(format: "%.4f", $0) } ?? "none"
      print(
        profile.name.padding(toLength: 10, withPad: " ", startingAt: 0)
          + LoadText.pad(alpha, 7) + LoadText.pad("\(profile.keyLength)", 7)
          + LoadText.pad(LoadText.of(profile.valueLengths), 7) + "  " + LoadText.of(profile.mix))
    }
    let unknown = TwitterCluster.all.filter { $0.profile == nil }.map(\.name)
    print("\nnot published: \(unknown.joined(separator: ", ")); alpha none: choose one with --zipf")
  }
}
