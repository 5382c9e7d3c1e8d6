import ArgumentParser

/// `hotrack store`: the Paxos store, as processes and from the command line.
struct StoreCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "store",
    abstract: "A replicated, strongly consistent key-value store.",
    discussion: """
      Where a notion is the same as etcd's, so is its word. `hotrack store local` starts a cell of \
      three nodes to try things with; docs/store.md says how to run a lasting one.
      """,
    subcommands: [
      StoreServeCommand.self,
      StoreInitCommand.self,
      StoreLocalCommand.self,
      StoreGetCommand.self,
      StorePutCommand.self,
      StoreDeleteCommand.self,
      StoreCASCommand.self,
      StoreTxnCommand.self,
      StoreWatchCommand.self,
      StoreLeaseCommand.self,
      StoreCompactCommand.self,
      StoreSnapshotCommand.self,
      StoreStatusCommand.self,
      StoreDumpCommand.self,
    ])
}
