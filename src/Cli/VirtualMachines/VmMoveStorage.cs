using System.CommandLine;
using Godwit.Api.VirtualMachines;
using Godwit.Cli.Jobs;
using Godwit.Cli.Text;

namespace Godwit.Cli.VirtualMachines;

/// <summary>godwit vm move-storage</summary>
internal sealed class VmMoveStorage
{
    private readonly Argument<string> _name = VmCommands.NameArgument();
    private readonly Option<string> _to = new("--to")
    {
        Description = "Folder that receives the files; created when missing",
        HelpName = "DIR",
        Required = true,
    };
    private readonly Option<string[]> _disks = new("--disk")
    {
        Description = "Move only this disk, for example disk0; repeatable (all when not given)",
        HelpName = "DISK",
    };
    private readonly Option<bool> _retain = new("--retain-source") { Description = "Keep the old files after success" };
    private readonly Option<long?> _bandwidth = SizeOption.Create(
        "--bandwidth", "Copy at most this much per second, for example 100M");
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Only check, and show what would be done" };
    private readonly Option<bool> _noWait = AcceptedJob.NoWaitOption();

    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var options = new VmMoveStorage();
        var verb = new Verb(
            "move-storage", "Moves a VM's disks to another folder of the host while it runs",
            "godwit vm move-storage web --to /mnt/fast --bandwidth 100M")
        {
            options._name, options._to, options._disks, options._retain, options._bandwidth, options._dryRun, options._noWait,
        };
        verb.AddJson("Write the job as it ended as JSON (with --no-wait: as accepted; with --dry-run: the plan)");
        verb.Does(shell, global, options.RunAsync);
        return verb;
    }

    private async Task<int> RunAsync(Session session, CancellationToken cancellationToken)
    {
        var name = session.Get(_name);
        var disks = session.Get(_disks);
        var request = new StorageMoveRequest(
            session.Shell.AbsolutePath(session.Get(_to)!), disks is { Length: > 0 } ? disks : null,
            session.Get(_retain), session.Get(_bandwidth));
        if (session.Get(_dryRun))
        {
            WritePlan(session, await session.Client.PlanStorageMoveAsync(name, request, cancellationToken));
            return ExitCode.Ok;
        }

        var job = await session.Client.MoveStorageAsync(name, request, cancellationToken);
        return await AcceptedJob.RunAsync(session, job, _noWait);
    }

    private static void WritePlan(Session session, StorageMovePlan plan)
    {
        if (session.TryWriteJson(plan, JsonText.Api.StorageMovePlan))
            return;
        var table = new Table(session.Paint, "DISK", ">SIZE", ">TO COPY", "FROM", "TO");
        foreach (var item in plan.Items)
            table.Add(item.Disk, ByteSize.Format(item.Size), ByteSize.Format(item.AllocatedBytes), item.Source, item.Target);
        table.Write(session.Shell.Out);
        session.Shell.Out.WriteLine();
        var fields = new FieldList(session.Paint);
        fields.Add("Phases", string.Join(", ", plan.Phases));
        fields.Add("To copy", ByteSize.Format(plan.Items.Sum(item => item.AllocatedBytes)));
        fields.Add("Available", ByteSize.Format(plan.AvailableBytes));
        fields.Write(session.Shell.Out);
        session.Talk.Say("nothing was changed");
    }
}
