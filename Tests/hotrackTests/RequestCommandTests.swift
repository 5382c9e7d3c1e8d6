import Foundation
import ScriptedRack
import Sockets
import Testing
import Wire

@Suite(.timeLimit(.minutes(1))) struct RequestCommandTests {
  @Test func aValueIsSetReadAndDeleted() async throws {
    try await ScriptedRack.running { rack in
      let there = ["--rack", rack.endpoint.description]
      let set = try await hotrack(["set", "greeting", "hello"] + there)
      #expect(set.code == 0 && set.text == "version \(Version.first(ofEpoch: 1) + 1)\n")
      let get = try await hotrack(["get", "greeting"] + there)
      #expect(get.code == 0 && get.text == "hello\n" && get.errors.isEmpty)
      #expect(try await hotrack(["get", "greeting", "--raw"] + there).text == "hello")
      #expect(try await hotrack(["delete", "greeting"] + there).code == 0)
      let gone = try await hotrack(["get", "greeting"] + there)
      #expect(gone.code == 1 && gone.output.isEmpty && gone.errors.contains("not found"))
    }
  }

  @Test func standardInputIsStoredToTheByteAndTheRackMayComeFromTheEnvironment() async throws {
    try await ScriptedRack.running { rack in
      let environment = ["HOTRACK_RACK": rack.endpoint.description]
      let bytes: [UInt8] = [0x68, 0x69, 0x0a, 0x00, 0xff]
      let set = try await hotrack(["set", "key", "-"], input: bytes, environment: environment)
      #expect(set.code == 0)
      let raw = try await hotrack(["get", "key", "--raw"], environment: environment)
      #expect(raw.output == bytes)
      let dash = try await hotrack(["set", "key", "--", "-1"], environment: environment)
      #expect(dash.code == 0)
      #expect(try await hotrack(["get", "key"], environment: environment).text == "-1\n")
    }
  }

  @Test func jsonTellsValueVersionAndOutcome() async throws {
    try await ScriptedRack.running { rack in
      let there = ["--json", "--rack", rack.endpoint.description]
      let first = Version.first(ofEpoch: 1) + 1
      let set = try await hotrack(["set", "key", "va\"lue"] + there)
      #expect(
        set.text
          == #"{"key":"key","outcome":"ok","value":"va\"lue","version":\#(first)}"# + "\n")
      #expect(try await hotrack(["get", "key"] + there).text == set.text)
      _ = try await hotrack(["set", "key", "-"] + there, input: [0xff, 0xfe])
      let bytes = try await hotrack(["get", "key"] + there).object
      #expect(bytes["value"] == nil && bytes["value_base64"] as? String == "//4=")
      let missing = try await hotrack(["get", "other"] + there)
      #expect(missing.code == 1)
      #expect(missing.text == #"{"key":"other","outcome":"not_found"}"# + "\n")
    }
  }

  @Test func unknownAndFailedHaveTheirOwnExitCodes() async throws {
    let script: ScriptedRack.Script = { header, _ in
      header.operation == .hello ? .serve : .loseRequest
    }
    try await ScriptedRack.running(script) { rack in
      let there = ["--json", "--timeout", "1", "--rack", rack.endpoint.description]
      let write = try await hotrack(["set", "key", "value"] + there)
      #expect(write.code == 3)
      #expect(try write.object["outcome"] as? String == "unknown")
      #expect(write.errors.contains("Read the key before you write it again"))
      let read = try await hotrack(["get", "key"] + there)
      #expect(read.code == 2)
      #expect(try read.object["outcome"] as? String == "failed")
      #expect(read.errors.contains(rack.endpoint.description))
    }
  }

  @Test func aTooLargeValueAndAnEmptyKeyFailWithoutARack() async throws {
    let nobody = ["--rack", "127.77.0.1:9"]
    let large = [UInt8](repeating: 0x78, count: 2_000)
    let set = try await hotrack(["set", "key", "-"] + nobody, input: large)
    #expect(set.code == 2 && set.errors.contains("2003 bytes"))
    #expect(try await hotrack(["get", ""] + nobody).code == 2)
  }

  @Test(arguments: [
    (["get", "key"], "HOTRACK_RACK"),
    (["get", "key", "--rack", "rack.example"], "10.0.0.1:18516"),
    (["get", "key", "--rack", "127.0.0.1", "--timeout", "0"], "--timeout"),
    (["get", "key", "--rack", "127.0.0.1", "--raw", "--json"], "--raw"),
    (["set", "key", "--rack", "127.0.0.1"], "<value>"),
  ])
  func wrongUsageIsExplained(_ arguments: [String], _ hint: String) async throws {
    let run = try await hotrack(arguments)
    #expect(run.code == 64 && run.output.isEmpty)
    #expect(run.errors.contains(hint), "\(run.errors)")
  }

  @Test(arguments: ["get", "set", "delete"])
  func theHelpTellsTheExitCodes(_ command: String) async throws {
    let help = try await hotrack([command, "--help"])
    #expect(help.code == 0 && help.text.contains("Exit codes: 0 done"))
  }
}
