using System.CommandLine;
using Godwit.Api.Disks;
using Godwit.Cli.Disks.Foreign;
using Godwit.Cli.Text;
using Godwit.Storage;
using Godwit.Storage.Chains;
using Godwit.Storage.Files;
using Godwit.Storage.Formats;
using Godwit.Storage.Operations;

namespace Godwit.Cli.Disks;

/// <summary>godwit disk convert</summary>
internal sealed class DiskConvert
{
    private readonly Argument<string> _source = DiskCommands.PathArgument("SOURCE", "The image file to read");
    private readonly Argument<string> _target = DiskCommands.PathArgument("TARGET", "The image file to make; must not exist");
    private readonly ConvertOptions _options = new();
    private readonly ChainArguments _chain = new();

    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var convert = new DiskConvert();
        var verb = new Verb(
            "convert", "Copies an image file into another format; holes stay holes",
            "godwit disk convert old.img new.vhdx") { convert._source, convert._target };
        convert._options.AddTo(verb);
        convert._chain.AddTo(verb);
        verb.AddJson("Write the new file's description as JSON; with --dry-run what would be done");
        verb.Does(shell, global, convert.RunAsync);
        return verb;
    }

    private async Task<int> RunAsync(Session session, CancellationToken cancellationToken)
    {
        var target = session.Shell.AbsolutePath(session.Get(_target));
        var format = _options.TargetFormat(session, target);
        await using var source = await ConvertSource.OpenAsync(
            session.Shell.AbsolutePath(session.Get(_source)), _options.SourceFormat(session), _chain.Read(session), cancellationToken);
        var plan = _options.Plan(session, source, format);
        if (_options.IsDryRun(session))
            return await ShowPlanAsync(session, source, target, format, cancellationToken);
        var hash = await MakeAsync(session, source, target, format, plan, cancellationToken);
        await ReportAsync(session, target, format, source.Device.Length);
        if (hash is not null)
            session.Talk.Say($"verified: {Convert.ToHexStringLower(hash)}");
        return ExitCode.Ok;
    }

    private Task<byte[]?> MakeAsync(
        Session session, ConvertSource source, string target, ConvertFormat format, CopyPlan plan, CancellationToken cancellationToken)
    {
        var (restart, verify) = (_options.IsRestart(session), _options.IsVerify(session));
        if (format.Own is null)
        {
            var writing = new ForeignTarget(session, plan, format.Word);
            return source.UseAsync(device => writing.WriteAsync(device, target, restart, verify, cancellationToken), cancellationToken);
        }

        var making = new FileMaking(
            session, plan, (path, token) => CreateAsync(path, plan, token),
            (path, readOnly, token) => OpenAsync(path, plan, readOnly, token));
        return source.UseAsync(device => making.RunAsync(device, target, restart, verify, cancellationToken), cancellationToken);
    }

    private static async ValueTask<BlockDevice> OpenAsync(string path, CopyPlan plan, bool readOnly, CancellationToken cancellationToken)
    {
        var options = new ChainOptions { Format = plan.Format, ReadOnly = readOnly, BypassCache = true };
        return (await DiskChain.OpenAsync(path, options, cancellationToken)).Device;
    }

    private static ValueTask CreateAsync(string path, CopyPlan plan, CancellationToken cancellationToken) => DiskImage.CreateAsync(
        path,
        plan.Format!.Value,
        plan.Size,
        new ImageCreateOptions
        {
            BlockSize = plan.BlockSize,
            LogicalSectorSize = plan.LogicalSectorSize,
            PhysicalSectorSize = plan.PhysicalSectorSize,
            Identifier = plan.Identifier,
        },
        cancellationToken);

    // The file has its name now: no ^C undoes that.
    private static async Task ReportAsync(Session session, string target, ConvertFormat format, long size)
    {
        long allocated;
        if (format.Own is DiskFormat own)
        {
            var made = await DiskShow.DescribeAsync(target, own, CancellationToken.None);
            if (session.TryWriteJson(made, JsonText.Own.DiskReport))
                return;
            allocated = made.AllocatedBytes;
        }
        else
        {
            await using (var file = LocalFile.Open(target, readOnly: true))
                allocated = file.AllocatedBytes;
            if (session.TryWriteJson(new DiskConvertReport(target, format.Word, size, allocated), JsonText.Own.DiskConvertReport))
                return;
        }

        session.Talk.Say($"wrote {target} ({ByteSize.Format(size)}, {ByteSize.Format(allocated)} on disk)");
    }

    private static async Task<int> ShowPlanAsync(
        Session session, ConvertSource source, string target, ConvertFormat format, CancellationToken cancellationToken)
    {
        if (Path.Exists(target))
        {
            throw new StorageException(
                StorageErrorKind.AlreadyExists, "exists already and is never overwritten", target, operation: "convert");
        }

        var data = await DiskCopy.CountDataAsync(source.Device, cancellationToken);
        var size = source.Device.Length;
        var needed = format.Own is DiskFormat.VhdxFixed or DiskFormat.VhdFixed ? size : data;
        var available = LocalFolder.AvailableBytes(Path.GetDirectoryName(target)!);
        var plan = new DiskConvertPlan(
            source.Path, source.Format.Word, target, format.Word, size, data, needed, available, needed <= available);
        if (!session.TryWriteJson(plan, JsonText.Own.DiskConvertPlan))
            Write(session, plan);
        return plan.Fits ? ExitCode.Ok : ExitCode.Failed;
    }

    private static void Write(Session session, DiskConvertPlan plan)
    {
        var fields = new FieldList(session.Paint);
        fields.Add("Source", $"{plan.Source} ({plan.SourceFormat})");
        fields.Add("Target", $"{plan.Target} ({plan.Format})");
        fields.Add("Size", ByteSize.Format(plan.Size));
        fields.Add("To copy", ByteSize.Format(plan.DataBytes));
        fields.Add("Needs", $"up to about {ByteSize.Format(plan.NeededBytes)}");
        fields.Add("Room", $"{ByteSize.Format(plan.AvailableBytes)}{(plan.Fits ? "" : ", which is too little")}");
        fields.Write(session.Shell.Out);
    }
}
