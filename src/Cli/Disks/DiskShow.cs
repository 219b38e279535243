using System.Globalization;
using Godwit.Api.Disks;
using Godwit.Cli.Text;
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
        var verb = new Verb("info", "Shows what an image file is", "godwit disk info data.vhdx") { path, format };
        verb.AddJson("Write the description as JSON");
        verb.Does(shell, global, async (session, cancellationToken) =>
        {
            var report = await DescribeAsync(
                session.Shell.AbsolutePath(session.Get(path)), session.Get(format), cancellationToken);
            if (!session.TryWriteJson(report, JsonText.Own.DiskReport))
                Write(session, report);
            return ExitCode.Ok;
        });
        return verb;
    }

    /// <summary>Reads an image file's description.</summary>
    public static async Task<DiskReport> DescribeAsync(string path, DiskFormat? format, CancellationToken cancellationToken)
    {
        await ImageNames.RequireContentAsync(path, format, cancellationToken);
        var found = await DiskImage.DescribeAsync(path, ImageFormats.ToImage(format), cancellationToken);
        return new DiskReport(
            path, ImageFormats.ToApi(found.Format), found.Size, found.AllocatedBytes, found.LogicalSectorSize,
            found.PhysicalSectorSize, found.BlockSize, found.Identifier);
    }

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
        fields.Write(session.Shell.Out);
    }

    private static string Bytes(long bytes) =>
        string.Create(CultureInfo.InvariantCulture, $"{ByteSize.Format(bytes)} ({bytes} bytes)");
}
