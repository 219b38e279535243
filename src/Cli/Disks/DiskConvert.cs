using System.CommandLine;
using Godwit.Api.Disks;
using Godwit.Cli.Progress;
using Godwit.Cli.Text;
using Godwit.Storage;
using Godwit.Storage.Files;
using Godwit.Storage.Formats;

namespace Godwit.Cli.Disks;

/// <summary>godwit disk convert</summary>
internal sealed class DiskConvert
{
    private readonly Argument<string> _source = DiskCommands.PathArgument("SOURCE", "The image file to read");
    private readonly Argument<string> _target = DiskCommands.PathArgument("TARGET", "The image file to make; must not exist");
    private readonly Option<DiskFormat?> _sourceFormat = DiskCommands.ExpectedFormatOption("--source-format");
    private readonly Option<DiskFormat?> _format = DiskCommands.FormatOption(
        "What TARGET is to be: vhdx (the default), vhdx-fixed or raw");

    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var options = new DiskConvert();
        var verb = new Verb(
            "convert", "Copies an image file into another format; holes stay holes",
            "godwit disk convert old.img new.vhdx")
        {
            options._source, options._target, options._sourceFormat, options._format,
        };
        verb.AddJson("Write the new file's description as JSON");
        verb.Does(shell, global, options.RunAsync);
        return verb;
    }

    private async Task<int> RunAsync(Session session, CancellationToken cancellationToken)
    {
        var source = session.Shell.AbsolutePath(session.Get(_source));
        var target = session.Shell.AbsolutePath(session.Get(_target));
        var format = session.Get(_format) ?? DiskFormat.VhdxDynamic;
        if (Path.Exists(target))
        {
            throw new StorageException(
                StorageErrorKind.AlreadyExists, "exists already; converting never overwrites a file", target,
                operation: "convert");
        }


        var old = await DiskShow.DescribeAsync(source, session.Get(_sourceFormat), cancellationToken);
        await using var from = await DiskImage.OpenAsync(
            source, ImageFormats.ToImage(old.Format), readOnly: true, cancellationToken);
        await WriteAsync(session, from, old, target, format, cancellationToken);
        var made = await DiskShow.DescribeAsync(target, format, cancellationToken);
        if (!session.TryWriteJson(made, JsonText.Own.DiskReport))
            session.Talk.Say($"wrote {target} ({ByteSize.Format(made.Size)}, {ByteSize.Format(made.AllocatedBytes)} on disk)");
        return ExitCode.Ok;
    }

    // Under another name until it is whole: whatever ends this process, nothing half done ever bears the target's name.
    private static async Task WriteAsync(
        Session session, BlockDevice from, DiskReport old, string target, DiskFormat format, CancellationToken cancellationToken)
    {
        var unfinished = target + ".partial";
        await CreateAsync(unfinished, format, old, cancellationToken);
        try
        {
            await FillAsync(session, from, unfinished, format, cancellationToken);
            LocalFolder.RenameWithoutReplacing(unfinished, target);
        }
        catch
        {
            session.Talk.EndProgress();
            File.Delete(unfinished);
            throw;
        }

        LocalFolder.Sync(Path.GetDirectoryName(target)!);
        session.Talk.EndProgress();
    }

    private static async Task CreateAsync(
        string unfinished, DiskFormat format, DiskReport old, CancellationToken cancellationToken)
    {
        // The same disk in another file: a guest that remembers disks by identity finds it again.
        var options = new ImageCreateOptions { PhysicalSectorSize = old.PhysicalSectorSize, Identifier = old.Identifier };
        try
        {
            await DiskImage.CreateAsync(unfinished, ImageFormats.ToImage(format), old.Size, options, cancellationToken);
        }
        catch (StorageException e) when (e.Kind == StorageErrorKind.AlreadyExists)
        {
            throw new StorageException(
                e.Kind, "exists: another conversion is writing it, or one was killed; remove it if none is running", unfinished,
                inner: e);
        }
    }

    private static async Task FillAsync(
        Session session, BlockDevice from, string unfinished, DiskFormat format, CancellationToken cancellationToken)
    {
        var total = await CountDataAsync(from, cancellationToken);
        var meter = new RateMeter(session.Shell.Time);
        await using var to = await DiskImage.OpenAsync(
            unfinished, ImageFormats.ToImage(format), readOnly: false, cancellationToken);
        Show(0);
        await new DiskCopy(from, to, Show).RunAsync(cancellationToken);

        void Show(long done)
        {
            meter.Note(done);
            var percent = total == 0 ? 100 : 100.0 * done / total;
            session.Talk.Show(
                new ProgressState("Copying", percent, done, total, meter.BytesPerSecond, meter.SecondsFor(total - done)));
        }
    }

    private static async Task<long> CountDataAsync(BlockDevice device, CancellationToken cancellationToken)
    {
        long total = 0;
        await foreach (var run in DiskMap.ReadAsync(device, cancellationToken))
            total += run.Kind == ExtentKind.Data ? run.Length : 0;
        return total;
    }
}
