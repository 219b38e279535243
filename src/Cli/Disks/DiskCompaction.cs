using System.CommandLine;
using System.Globalization;
using Godwit.Api.Disks;
using Godwit.Cli.Text;
using Godwit.Storage.Operations;

namespace Godwit.Cli.Disks;

/// <summary>godwit disk compact</summary>
internal sealed class DiskCompaction
{
    private readonly Argument<string> _path = DiskCommands.PathArgument("PATH", "The image file; nobody may use it");
    private readonly Option<DiskFormat?> _format = DiskCommands.ExpectedFormatOption();
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Only say how much would be given back, and why" };
    private readonly Option<bool> _zeroesOnly = new("--zeroes-only")
    {
        Description = "Give back only what reads as zeroes; leave what file systems call free as it is",
    };

    private readonly ChainArguments _chain = new();

    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var options = new DiskCompaction();
        var verb = new Verb(
            "compact", "Makes an image file smaller: gives back zeroes and what the guest's file systems do not use",
            "godwit disk compact web.vhdx")
        {
            options._path, options._format, options._dryRun, options._zeroesOnly,
        };
        options._chain.AddPathMapTo(verb);
        verb.AddJson("Write what was done, or would be, as JSON");
        verb.Does(shell, global, options.RunAsync);
        return verb;
    }

    private async Task<int> RunAsync(Session session, CancellationToken cancellationToken)
    {
        session.AfterCancel = "the image is sound, and the same command goes on";
        var path = session.Shell.AbsolutePath(session.Get(_path));
        var format = session.Get(_format);
        await ImageNames.RequireContentAsync(path, format, cancellationToken);
        var options = new CompactOptions { DryRun = session.Get(_dryRun), ZeroesOnly = session.Get(_zeroesOnly) };
        var result = await DiskCompact.RunAsync(
            path, _chain.Read(session, format), options, new OperationMeter(session).Show, cancellationToken);
        session.Talk.EndProgress();
        if (!session.TryWriteJson(DiskCompactReport.From(path, options.DryRun, result), JsonText.Own.DiskCompactReport))
            Say(session, path, result);
        return ExitCode.Ok;
    }

    private void Say(Session session, string path, CompactResult result)
    {
        var isDry = session.Get(_dryRun);
        var became = isDry ? "would become about" : "is now";
        session.Talk.Say($"{path} was {ByteSize.Format(result.LengthBefore)} and {became} {ByteSize.Format(result.LengthAfter)}");
        if (!isDry)
            session.Talk.Say($"on its file system it took {ByteSize.Format(result.AllocatedBefore)} and takes {ByteSize.Format(result.AllocatedAfter)}");
        SayPart(session, result.Zero, "read as zeroes");
        SayPart(session, result.Unused, "the guest's file systems do not use; these read as zeroes now");
        SayPart(session, result.Equal, "the parent has too");
        SayPart(session, result.ZeroInside, "of zeroes inside blocks that stay were given back to the host as holes");
        SayPart(session, result.Inside, "they do not use inside blocks that stay; given back to the host as holes, reading as zeroes now");
        SayPart(session, result.Empty, "of the file held nothing");
        if (result.BlocksMoved > 0)
            session.Talk.Say(string.Create(CultureInfo.InvariantCulture, $"{result.BlocksMoved} blocks were moved to the front of the file"));
        foreach (var partition in result.Partitions)
        {
            var name = partition.Number == 0 ? "the whole disk" : string.Create(CultureInfo.InvariantCulture, $"partition {partition.Number}");
            session.Talk.Say($"{name}, {partition.FileSystem ?? "unknown"}: {(partition.Reason is null ? "its free space was used" : $"left alone: {partition.Reason}")}");
        }

        foreach (var note in result.Notes)
            session.Talk.Say($"note: {note}");
    }

    private static void SayPart(Session session, long bytes, string what)
    {
        if (bytes > 0)
            session.Talk.Say($"{ByteSize.Format(bytes)} {what}");
    }
}
