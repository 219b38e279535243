using System.CommandLine;
using Godwit.Api.Disks;
using Godwit.Cli.Text;
using Godwit.Storage;
using Godwit.Storage.Formats;
using Godwit.Storage.Operations;
using Godwit.Storage.Repair;

namespace Godwit.Cli.Disks;

/// <summary>godwit disk repair</summary>
internal sealed class DiskRepair
{
    private readonly Argument<string> _path = DiskCommands.PathArgument("PATH", "The damaged image");
    private readonly Option<string?> _to = new("--to") { Description = "Repair a copy and only read PATH; must not exist", HelpName = "COPY" };
    private readonly Option<string?> _undo = new("--undo")
    {
        Description = "Repair in place; what is changed is saved here first (PATH.undo when neither --to nor --undo is given)",
        HelpName = "FILE",
    };

    private readonly Option<string?> _restore = new("--restore")
    {
        Description = "Put PATH back byte for byte from this undo file",
        HelpName = "FILE",
    };

    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Only list what is wrong and what would be done; writes nothing" };
    private readonly Option<bool> _lossy = new("--lossy") { Description = "Permit steps that give something up; each loss is listed" };
    private readonly Option<bool> _restart = new("--restart") { Description = "Begin anew where an unfinished COPY.partial is" };
    private readonly Option<DiskFormat?> _format = DiskCommands.ExpectedFormatOption();

    /// <summary>Makes the command.</summary>
    public static Verb Create(Shell shell, GlobalOptions global)
    {
        var repair = new DiskRepair();
        var verb = new Verb(
            "repair", "Repairs a damaged VHD or VHDX: a copy of it, or in place with an undo file",
            "godwit disk repair data.vhdx --to data-repaired.vhdx")
        {
            repair._path, repair._to, repair._undo, repair._restore, repair._dryRun, repair._lossy, repair._restart, repair._format,
        };
        verb.AddJson("Write what was found and done, or would be, as JSON");
        verb.Does(shell, global, repair.RunAsync);
        return verb;
    }

    private async Task<int> RunAsync(Session session, CancellationToken cancellationToken)
    {
        var path = session.Shell.AbsolutePath(session.Get(_path));
        var (to, undo, restore) = (session.GetPath(_to), session.GetPath(_undo), session.GetPath(_restore));
        RequireOne(to, undo, restore, session.Get(_dryRun));
        if (restore is not null)
            return await RestoreAsync(session, path, restore, cancellationToken);
        session.AfterCancel = "nothing was repaired, and the same command begins again";
        undo ??= path + ".undo";
        var inPlace = to is null && !session.Get(_dryRun);
        var options = new RepairOptions { Format = ImageFormats.ToImage(session.Get(_format)), Lossy = session.Get(_lossy) };
        await using var repair = ImageRepair.Open(path, readOnly: !inPlace, options);
        var meter = new OperationMeter(session);
        if (inPlace && await repair.PrepareAgainAsync(undo, meter.Show, cancellationToken))
            session.Talk.Say($"an earlier repair was cut off: {path} was put back from {undo} first");
        var plan = await repair.PlanAsync(cancellationToken);
        var after = plan.After;
        if (plan.ChangesFile && inPlace)
            after = await ApplyAsync(repair, plan, undo, meter, cancellationToken);
        else if (plan.ChangesFile && !session.Get(_dryRun))
            after = await CopyAsync(session, plan, path, to!, cancellationToken);
        session.Talk.EndProgress();
        var report = new DiskRepairReport(path, plan.ChangesFile && !session.Get(_dryRun), after.IsSound, plan.ChangedBytes, plan.Steps, after.Findings)
        {
            Copy = plan.ChangesFile ? to : null,
            Undo = plan.ChangesFile && inPlace ? undo : null,
        };
        if (!session.TryWriteJson(report, JsonText.Own.DiskRepairReport))
            new RepairText(session, session.Get(_dryRun)).Write(report);
        return after.IsSound ? ExitCode.Ok : ExitCode.Failed;
    }

    private static void RequireOne(string? to, string? undo, string? restore, bool dryRun)
    {
        if (to is not null && undo is not null)
            throw new UsageException("--to and --undo exclude each other: a copy needs no undo file");
        if (restore is not null && (to is not null || undo is not null || dryRun))
            throw new UsageException("--restore only puts the image back: it goes with none of --to, --undo and --dry-run");
    }

    private async Task<int> RestoreAsync(Session session, string path, string undo, CancellationToken cancellationToken)
    {
        session.AfterCancel = "the same command goes on";
        await using var repair = ImageRepair.Open(path, readOnly: false, new RepairOptions());
        await repair.RestoreAsync(undo, session.Get(_lossy), new OperationMeter(session).Show, cancellationToken);
        session.Talk.EndProgress();
        session.TryWriteJson(new DiskRestoreReport(path, undo), JsonText.Own.DiskRestoreReport);
        session.Talk.Say($"{path} is as it was before the repair; {undo} is not needed any more");
        return ExitCode.Ok;
    }

    private static async Task<CheckReport> ApplyAsync(
        ImageRepair repair, RepairPlan plan, string undo, OperationMeter meter, CancellationToken cancellationToken)
    {
        await repair.ApplyAsync(plan, undo, meter.Show, cancellationToken);
        return await repair.CheckAsync(plan, CancellationToken.None);
    }

    private async Task<CheckReport> CopyAsync(Session session, RepairPlan plan, string path, string to, CancellationToken cancellationToken)
    {
        await using var from = plan.ToDevice();
        var copy = new CopyPlan
        {
            Operation = session.Get(_lossy) ? "repair --lossy" : "repair",
            Sources = [FileIdentity.Read(path)],
            Size = from.Length,
        };
        var making = new FileMaking(
            session, copy, (target, token) => WholeFile.CreateAsync(target, copy.Size, token),
            (target, readOnly, _) => new ValueTask<BlockDevice>(WholeFile.Open(target, readOnly, bypassCache: true)));
        await making.RunAsync(from, to, session.Get(_restart), verify: true, cancellationToken);

        // The copy has its name now: no ^C undoes that.
        return await DiskImage.CheckAsync(to, plan.Format, CancellationToken.None);
    }
}
