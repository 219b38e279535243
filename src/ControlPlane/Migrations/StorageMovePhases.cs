namespace Godwit.ControlPlane.Migrations;

/// <summary>The phases of a storage move and their parts of the whole, in percent.</summary>
internal static class StorageMovePhases
{
    public const string Validate = "Validate";
    public const string Prepare = "Prepare";
    public const string Copy = "Copy";
    public const string InSync = "InSync";
    public const string Switchover = "Switchover";
    public const string Finish = "Finish";

    public static IReadOnlyList<string> All { get; } = [Validate, Prepare, Copy, InSync, Switchover, Finish];

    public static (double From, double To) CopySpan => (2, 75);

    /// <summary>Comparing reads both sides once; it is what stands between "copied" and "verified".</summary>
    public static (double From, double To) InSyncSpan => (75, 97);
}
