using System.CommandLine;
using Godwit.Api.Disks;
using Godwit.Cli.Text;

namespace Godwit.Cli.VirtualMachines;

/// <summary>godwit vm track</summary>
internal sealed class VmTrack
{
    private readonly Argument<string> _name = VmCommands.NameArgument();
    private readonly Option<string> _disk = new("--disk") { Description = "Name of the disk", HelpName = "NAME", Required = true };
    private readonly Option<string?> _add = new("--add") { Description = "Take a point: mark what changes from here on", HelpName = "POINT" };
    private readonly Option<string?> _remove = new("--remove") { Description = "Forget a point", HelpName = "POINT" };

    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var track = new VmTrack();
        var verb = new Verb(
            "track", "Marks what changes on a disk of a running VM since points in time, and lists the points", "godwit vm track web --disk disk0 --add monday")
        {
            track._name, track._disk, track._add, track._remove,
        };
        verb.AddJson("Write an array of the points there are now as JSON");
        verb.Does(shell, global, track.RunAsync);
        return verb;
    }

    private async Task<int> RunAsync(Session session, CancellationToken cancellationToken)
    {
        var (name, disk, add, remove) = (session.Get(_name), session.Get(_disk)!, session.Get(_add), session.Get(_remove));
        if (add is not null && remove is not null)
            throw new UsageException("--add and --remove are two commands");
        if (add is not null && !DiskPointSpec.IsName(add))
            throw new UsageException("--add: a point's name has 1 to 64 letters, digits, dots, underscores and hyphens");
        if (add is not null)
            await session.Client.AddPointAsync(name, disk, new DiskPointSpec(add), cancellationToken);
        if (remove is not null)
            await session.Client.RemovePointAsync(name, disk, remove, cancellationToken);
        var points = await session.Client.ListPointsAsync(name, disk, cancellationToken);
        if (!session.TryWriteJson(points, JsonText.Api.IReadOnlyListDiskPoint))
            Write(session, points);
        return ExitCode.Ok;
    }

    private static void Write(Session session, IReadOnlyList<DiskPoint> points)
    {
        if (points.Count == 0)
        {
            session.Talk.Say("no points; take one with --add");
            return;
        }

        var table = new Table(session.Paint, "POINT", "TAKEN", ">CHANGED", "LOST");
        foreach (var point in points)
        {
            table.AddColoured(
                point.Lost is null ? null : session.Paint.Red, point.Name, Clock.Format(point.Taken), ByteSize.Format(point.ChangedBytes), point.Lost ?? "");
        }

        table.Write(session.Shell.Out);
    }
}
