using System.CommandLine;
using Godwit.Api.Disks;
using Godwit.Cli.Text;
using Godwit.Storage.Operations;
using Godwit.Storage.Partitions;

namespace Godwit.Cli.Disks;

/// <summary>godwit disk resize</summary>
internal sealed class DiskResizing
{
    private readonly Argument<string> _path = DiskCommands.PathArgument();
    private readonly Option<long?> _size = SizeOption.Create("--size", "What the guest is to see");
    private readonly Option<bool> _toLast = new("--to-last-partition")
    {
        Description = "Shrink as far as the partition table allows, with room for the backup of a GPT",
    };

    private readonly Option<bool> _force = new("--force")
    {
        Description = "Cut partitions, or bytes that are not zero, off: they are lost",
    };

    private readonly Option<bool> _orphan = new("--orphan-children")
    {
        Description = "Resize although other images have PATH as their parent; they become unreadable",
    };

    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Only check, and show what would be done" };
    private readonly Option<DiskFormat?> _format = DiskCommands.ExpectedFormatOption();
    private readonly ChainArguments _chain = new();

    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var options = new DiskResizing();
        var verb = new Verb("resize", "Makes a disk larger or smaller; partitions stay as they are", "godwit disk resize web.vhdx --size 80G")
        {
            options._path, options._size, options._toLast, options._force, options._orphan, options._dryRun, options._format,
        };
        options._chain.AddTo(verb);
        verb.AddJson("Write what was done, or would be, as JSON");
        verb.Does(shell, global, options.RunAsync);
        return verb;
    }

    private async Task<int> RunAsync(Session session, CancellationToken cancellationToken)
    {
        if (session.Get(_size) is null != session.Get(_toLast))
            throw new UsageException("give either --size SIZE or --to-last-partition");
        session.AfterCancel = "the disk has its old size or the new one, and the same command finishes";
        var request = new DiskResizeRequest { Size = session.Get(_size), Force = session.Get(_force) };
        var meter = new OperationMeter(session);
        var resize = await DiskResize.PlanAsync(
            session.Shell.AbsolutePath(session.Get(_path)), request, _chain.Read(session, session.Get(_format)), meter.Show, cancellationToken);
        if (!session.Get(_orphan))
            await resize.RequireNoChildrenAsync(cancellationToken);
        if (!session.Get(_dryRun))
            await resize.RunAsync(meter.Show, cancellationToken);
        session.Talk.EndProgress();
        if (!session.TryWriteJson(ReportOf(resize), JsonText.Own.DiskResizeReport))
            Say(session, resize);
        return ExitCode.Ok;
    }

    private static DiskResizeReport ReportOf(DiskResize resize) => new(
        resize.Image.Path, resize.Image.Description.Size, resize.Size, resize.Table.Scheme, resize.Table.Last?.End, resize.SmallestSize,
        resize.MovesBackupTable, resize.Loss);

    private void Say(Session session, DiskResize resize)
    {
        var (old, dry) = (resize.Image.Description.Size, session.Get(_dryRun));
        if (resize.Size == old)
        {
            session.Talk.Say($"{resize.Image.Path} has {Exact(old)} already");
            return;
        }

        session.Talk.Say($"{resize.Image.Path} {(dry ? "would get" : "has")} {Exact(resize.Size)}, {(dry ? "has" : "had")} {Exact(old)}");
        if (resize.Loss is not null)
            session.Talk.Say($"{(dry ? "would cut" : "cut")} data off: {resize.Loss.Split("; ", 2)[0]}");
        if (resize.MovesBackupTable)
            session.Talk.Say($"the backup of the partition table {(dry ? "would move to" : "is at")} the new end");
        if (resize.Size > old)
            SayWhatTheGuestDoes(session, resize);
    }

    private static void SayWhatTheGuestDoes(Session session, DiskResize resize)
    {
        if (resize.Table.Scheme == PartitionScheme.Gpt)
            session.Talk.Say("the backup of the partition table stays where it is; the guest's tools below move it to the new end");
        if (resize.Table.Last is Partition last)
        {
            session.Talk.Say($"no partition uses the new space yet; the last one is {last}. To grow it in the guest:");
            session.Talk.Say("  Windows: Disk Management, \"Extend Volume\", or Resize-Partition");
            session.Talk.Say($"  Linux:   growpart /dev/sdX {last.Number}, then resize2fs, xfs_growfs or what the file system has");
        }
        else if (resize.Table.Scheme == PartitionScheme.WholeDisk)
        {
            session.Talk.Say($"{resize.Table.Evidence}: grow the file system in the guest");
        }
    }

    /// <summary>A size for people and, where that is rounded, for programs.</summary>
    private static string Exact(long bytes)
    {
        var text = ByteSize.Format(bytes);
        return ByteSize.TryParse(text.Replace(" ", "", StringComparison.Ordinal), out var same) && same == bytes ? text : $"{bytes} bytes ({text})";
    }
}
