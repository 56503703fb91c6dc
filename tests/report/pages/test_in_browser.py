"""What a reader can do with a page, in a real browser: Chromium without a window."""

import json
import shutil

import pytest

from invspec.report import contents, examples
from invspec.report.examples import Example, Sheet
from invspec.report.pages import details, render

webdriver = pytest.importorskip("selenium.webdriver")
pytestmark = pytest.mark.skipif(
    shutil.which("chromedriver") is None, reason="chromedriver is not installed"
)
# one pixel
PNG = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    for option in ("--headless", "--no-sandbox", "--disable-gpu", "--window-size=1280,1000"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options, service)
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, toy, tmp_path):
    """The page of a small report, with a picture for each attack."""
    report = contents.report(*toy)
    example = Example(7, 3, 3, 5, 0.9, 0.6, 0.1, 1.5)
    sheet = Sheet(PNG, 1, 1, 5.0, (example,))
    sheets = {examples.key(task): sheet for task in details.attacks(report)}
    path = render.write(report, tmp_path, sheets)
    browser.get(path.as_uri())
    yield browser
    complaints = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not complaints, json.dumps(complaints)


def elements(page, selector):
    return page.find_elements("css selector", selector)


def rows(page, place):
    """The texts of the visible rows of a table."""
    table = elements(page, ".layout table")[place]
    body = table.find_elements("css selector", "tbody tr")
    return [row.text.split() for row in body if row.is_displayed()]


def test_a_heading_sorts_its_column_down_then_up_then_as_it_was(page):
    before = rows(page, 1)
    heading = elements(page, ".layout table")[1].find_elements("css selector", "thead button")[-1]
    heading.click()
    down = rows(page, 1)
    assert down != before
    cell = elements(page, ".layout table")[1].find_element("css selector", "th[aria-sort]")
    assert cell.get_attribute("aria-sort") == "descending"
    heading.click()
    assert cell.get_attribute("aria-sort") == "ascending"
    heading.click()
    assert rows(page, 1) == before


def test_sorted_numbers_are_in_order_with_missing_ones_last(page):
    table = elements(page, ".layout table")[1]
    table.find_elements("css selector", "thead button")[-1].click()
    cells = [
        row.find_elements("css selector", "td")[-1]
        for row in table.find_elements("css selector", "tbody tr")
    ]
    values = [cell.get_attribute("data-value") for cell in cells]
    present = [float(value) for value in values if value is not None]
    assert present == sorted(present, reverse=True)
    assert values[len(present) :] == [None] * (len(values) - len(present))
    assert None in values


def test_a_filter_leaves_the_rows_and_columns_of_a_value_and_can_be_undone(page):
    from selenium.webdriver.support.ui import Select

    count = len(rows(page, 1))
    selects = {
        label.text.split("\n")[0].split()[0]: label.find_element("css selector", "select")
        for label in elements(page, "#filter label")
    }
    Select(selects["model"]).select_by_value("lenet")
    assert all(row[0] == "lenet" or row[0].isdigit() for row in rows(page, 1))
    assert len(rows(page, 1)) < count
    assert "rows are hidden" in page.find_element("id", "filter").text
    Select(selects["pgd.eps"]).select_by_value("0.1")
    headings = [
        h.text
        for h in elements(page, ".layout table")[1].find_elements(
            "css selector", "thead tr:last-child th"
        )
        if h.is_displayed()
    ]
    assert [text for text in headings if text.startswith("0")] == ["0.1"]
    page.find_element("css selector", "#filter button").click()
    assert len(rows(page, 1)) == count


def test_a_number_opens_its_interval_its_place_and_its_examples(page):
    page.find_element("css selector", "td[data-detail] button").click()
    dialog = page.find_element("id", "detail")
    assert dialog.is_displayed()
    text = dialog.text
    for part in ("95 % interval", "seeds", "keys in the store", "model", "linear"):
        assert part in text
    assert "3 (0.90)" in text
    assert "5 (0.60)" in text
    pictures = dialog.find_elements("css selector", "i[role=img]")
    assert [picture.get_attribute("aria-label") for picture in pictures] == [
        "example 7 before the attack",
        "example 7 after the attack",
        "change of example 7",
    ]
    page.find_element("css selector", "#detail .close").click()
    assert not dialog.is_displayed()


def test_the_keyboard_opens_and_closes_a_number(page):
    from selenium.webdriver.common.keys import Keys

    button = page.find_element("css selector", "td[data-detail] button")
    button.send_keys(Keys.ENTER)
    dialog = page.find_element("id", "detail")
    assert dialog.is_displayed()
    page.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not dialog.is_displayed()
    assert page.switch_to.active_element == button


def test_a_legend_entry_marks_its_line_and_its_row(page):
    entry = page.find_element("css selector", ".legend button")
    line = entry.get_attribute("data-line")
    entry.click()
    marked = elements(page, ".on")
    assert {item.get_attribute("data-line") for item in marked} == {line}
    assert {item.tag_name for item in marked} == {"g", "tr"}
    assert entry.get_attribute("aria-pressed") == "true"
    entry.click()
    assert not elements(page, ".on")


def test_the_source_of_a_table_in_latex_can_be_copied(page):
    section = elements(page, ".layout .source")[0]
    section.find_element("css selector", "summary").click()
    section.find_element("css selector", ".copy").click()
    assert r"\begin{tabular}" in section.text
    assert r"\label{tab:toy-accuracy}" in section.text
    assert "Copied" in section.text


def test_the_settings_of_every_method_are_on_the_page(page):
    page.execute_script(
        "document.querySelectorAll('details').forEach((part) => (part.open = true))"
    )
    text = " ".join(table.text for table in elements(page, "table.settings"))
    for part in ("eps", "0, 0.1, 0.2", "random_start", "max_degrees", "split test"):
        assert part in text


@pytest.mark.parametrize("width", [400, 800, 1280])
def test_nothing_is_wider_than_the_window(page, width):
    page.set_window_size(width, 900)
    inner, body = page.execute_script("return [innerWidth, document.documentElement.scrollWidth]")
    page.set_window_size(1280, 1000)
    assert body <= inner
