using System.Globalization;
using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Cli.Text;
using Godwit.Storage;
using Godwit.Storage.Chains;
using Godwit.Storage.Formats;

namespace Godwit.Cli.Disks;

/// <summary>godwit disk info</summary>
internal static class DiskShow
{
    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var path = DiskCommands.PathArgument();
        var format = DiskCommands.ExpectedFormatOption();
        var chain = new ChainArguments();
        var verb = new Verb("info", "Shows what an image file is, with its parents", "godwit disk info data.vhdx") { path, format };
        chain.AddTo(verb);
        verb.AddJson("Write the description as JSON");
        verb.Does(shell, global, (session, cancellationToken) => RunAsync(
            session, session.Shell.AbsolutePath(session.Get(path)), chain.Read(session, session.Get(format)), session.Get(format),
            cancellationToken));
        return verb;
    }

    /// <summary>Reads an image file's own description, without its parents.</summary>
    public static async Task<DiskReport> DescribeAsync(string path, DiskFormat? format, CancellationToken cancellationToken)
    {
        await ImageNames.RequireContentAsync(path, format, cancellationToken);
        return Report(path, await DiskImage.DescribeAsync(path, ImageFormats.ToImage(format), cancellationToken));
    }

    private static async Task<int> RunAsync(
        Session session, string path, ChainOptions options, DiskFormat? format, CancellationToken cancellationToken)
    {
        var report = await DescribeAsync(path, format, cancellationToken);
        Problem? problem = null;
        if (report.Parent is not null)
        {
            try
            {
                var chain = await DiskChain.DescribeAsync(path, options, cancellationToken);
                report = report with
                {
                    Chain = [.. chain.Select(layer => Report(layer.Path, layer.Description))],
                    Notes = RecordedPaths.Judge(chain, options.Paths) is { Count: > 0 } stale
                        ? [.. stale.Select(one => $"{one.Path}: {one.Finding.Message}")] : null,
                };
            }
            catch (StorageException e)
            {
                problem = Failure.Describe(e);
                report = report with { ChainProblem = problem.Title };
            }
        }

        if (!session.TryWriteJson(report, JsonText.Own.DiskReport))
            Write(session, report);
        if (problem is null)
            return ExitCode.Ok;
        session.Talk.Fail(problem);
        return Failure.ExitCodeFor(problem.Code);
    }

    private static DiskReport Report(string path, ImageDescription found) => new(
        path, ImageFormats.ToApi(found.Format), found.Size, found.AllocatedBytes, found.LogicalSectorSize,
        found.PhysicalSectorSize, found.BlockSize, found.Identifier)
    {
        Linkage = found.Linkage,
        LogIsDirty = found.LogIsDirty ? true : null,
        Parent = found.Parent is ParentLink link
            ? new DiskParentRecord(link.Linkage, link.Alternate, [.. link.Paths.Select(recorded => recorded.Text)])
            : null,
    };

    private static void Write(Session session, DiskReport report)
    {
        var fields = new FieldList(session.Paint);
        fields.Add("Path", report.Path);
        fields.Add("Format", DiskFormats.Word(report.Format));
        fields.Add("Size", Bytes(report.Size));
        fields.Add("On disk", Bytes(report.AllocatedBytes));
        var (logical, physical) = (ByteSize.Format(report.LogicalSectorSize), ByteSize.Format(report.PhysicalSectorSize));
        fields.Add("Sector", $"{logical} logical, {physical} physical");
        fields.Add("Block", report.BlockSize is int block ? ByteSize.Format(block) : null);
        fields.Add("Identifier", report.Identifier?.ToString());
        fields.Add("Linkage", report.Linkage?.ToString());
        fields.Add("Log", report.LogIsDirty == true ? "holds changes; opening for writing applies them" : null);
        fields.Add("Parent", report.Parent is DiskParentRecord parent ? string.Join(", ", parent.Paths.Select(Printable.From)) : null);
        fields.Write(session.Shell.Out);
        if (report.Chain is { } chain)
            WriteTree(session, chain);
        foreach (var note in report.Notes ?? [])
            session.Talk.Say($"note: {Printable.From(note)}");
    }

    private static void WriteTree(Session session, IReadOnlyList<DiskReport> chain)
    {
        session.Shell.Out.WriteLine();
        for (var index = 0; index < chain.Count; index++)
        {
            var layer = chain[index];
            var branch = index == 0 ? "" : $"{new string(' ', 3 * (index - 1))}└─ ";
            session.Shell.Out.WriteLine(
                $"{branch}{Printable.From(layer.Path)}  {session.Paint.Dim(Summary(layer))}");
        }
    }

    private static string Summary(DiskReport layer) =>
        $"{DiskFormats.Word(layer.Format)}, {ByteSize.Format(layer.Size)}, {ByteSize.Format(layer.AllocatedBytes)} on disk"
        + (layer.LogIsDirty == true ? ", log not applied" : "");

    private static string Bytes(long bytes) =>
        string.Create(CultureInfo.InvariantCulture, $"{ByteSize.Format(bytes)} ({bytes} bytes)");
}
