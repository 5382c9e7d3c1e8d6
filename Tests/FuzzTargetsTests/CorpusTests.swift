import Foundation
import FuzzTargets
import Testing

/// What fuzzing has found once, again with every run of the tests, without a fuzzer.
@Suite struct CorpusTests {
  static let corpus = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../fuzz/corpus").standardizedFileURL

  @Test(arguments: FuzzTarget.all.map(\.name))
  func everyInputOfTheCorpusIsTaken(_ name: String) throws {
    let target = try #require(FuzzTarget.all.first { $0.name == name })
    let files = try FileManager.default.contentsOfDirectory(
      at: Self.corpus.appending(path: name), includingPropertiesForKeys: nil)
    #expect(!files.isEmpty)
    for file in files {
      try Data(contentsOf: file).withUnsafeBytes { target.run($0) }
    }
  }
}
